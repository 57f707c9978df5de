#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# check-image.sh BUILD [SEED]: pictures decoded, resized and changed at random by the
# library and by Pillow, byte by byte; and the generator writes the pictures that are committed.
# Debian's Pillow and ours share libjpeg and zlib; others may round or compress
# otherwise, so only that Python is asked.
set -eu
cd "$(dirname "$0")/.."
python=/usr/bin/python3
"$python" -c 'import PIL.Image' 2>/dev/null || { echo "python3-pil is not installed"; exit 77; }
export PYTHONDONTWRITEBYTECODE=1
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
"$python" -W ignore scripts/gen-pictures.py "$dir"
diff -r "$dir/corpus" tests/fuzz/image/corpus
diff "$dir/pillow.tsv" tests/fuzz/image/pillow.tsv
"$python" -W ignore scripts/check-image.py "$1/image" "${2:-1}"
"$python" -W ignore scripts/check-transform.py "$1/image" "${2:-1}"
