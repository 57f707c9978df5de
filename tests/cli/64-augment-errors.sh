# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# What cannot be done to the images is said by its key, by a dry run already, and
# nothing is created.
tiny_config >tiny.yaml
augment() { sets=(--set "data.augment=$1" "${@:2}"); }
augment "{crop_padding: 12}"
expect 2 omq-train -n "${sets[@]}" tiny.yaml
has err "data.augment.crop_padding is 12: for images of 12 x 12 it can be 0 to 11"
for key in color_jitter random_resized_crop; do
    augment "{$key: {$([ $key = random_resized_crop ] || echo "hue: 0.1")}}" \
        --set data.synthetic.channels=4
    expect 2 omq-train -n "${sets[@]}" tiny.yaml
    has err "data.augment.$key needs images of 1 or 3 channels, but they have 4"
done
augment "{crop_padding: 1, random_resized_crop: {}}"
expect 2 omq-train "${sets[@]}" tiny.yaml
has err "'data.augment.crop_padding' and 'random_resized_crop' are both ways to crop"
augment "{random_resized_crop: {scale: [1, 0.08]}}"
expect 2 omq-train "${sets[@]}" tiny.yaml
has err "'data.augment.random_resized_crop.scale' is not ascending"
augment "{mixup_alpha: 1}"
expect 2 omq-train "${sets[@]}" tiny.yaml
has err "unknown key 'mixup_alpha' in 'data.augment' (use 'data.augment.mixup')"
# a section that is there is meant
augment "{random_resized_crop: {}, mixup: 1}"
expect 0 omq-train --dump-config "${sets[@]}" tiny.yaml
has out "enabled: true" "scale: [0.08, 1]" "mixup: 1"
rm out err
[ "$(ls)" = tiny.yaml ] || fail "something was created: $(ls)"
