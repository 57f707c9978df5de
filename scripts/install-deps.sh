#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# install-deps.sh GROUP...: installs the Debian packages of these groups that
# are missing, without a question; does nothing when none is.
#
#   build      to build and run the programs
#   check      to run `make check`
#   check-all  to run `make check-all`
set -eu

build=(gcc libc6-dev make libopenblas-dev libyaml-dev libjansson-dev libjpeg62-turbo-dev
    libspng-dev zlib1g-dev)
check=(check mandoc pkgconf python3 python3-numpy python3-pil shellcheck)
check_all=(clang gcc-aarch64-linux-gnu gcc-arm-none-eabi git libc6-dev-arm64-cross
    libclang-rt-14-dev libnewlib-arm-none-eabi llvm python3-torch python3-torchvision
    qemu-system-arm qemu-user valgrind)

wanted=()
for group in "$@"; do
    case $group in
    build) wanted+=("${build[@]}") ;;
    check) wanted+=("${check[@]}") ;;
    check-all) wanted+=("${check_all[@]}") ;;
    *)
        echo "install-deps.sh: unknown group '$group'; there are build, check and check-all" >&2
        exit 2
        ;;
    esac
done

missing=()
for package in "${wanted[@]}"; do
    # "ii ": wanted and installed; a package that was removed is still known.
    # shellcheck disable=SC2016
    state=$(dpkg-query -W -f '${db:Status-Abbrev}' "$package" 2>/dev/null || true)
    [[ $state == ?i* ]] || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

if ! command -v apt-get >/dev/null; then
    echo "install-deps.sh: no apt-get here; install what Debian calls: ${missing[*]}" >&2
    echo "(if you have all of it under other names, use make and make check)" >&2
    exit 1
fi
if [ "$(id -u)" -ne 0 ]; then
    echo "install-deps.sh: missing packages; as root, run: apt-get install ${missing[*]}" >&2
    exit 1
fi

echo "installing ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
# Output is shown only if it fails: a screen of package names helps nobody.
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! { apt-get update -q &&
    apt-get install -q -y --no-install-recommends "${missing[@]}"; } >"$log" 2>&1 </dev/null; then
    tail -n 40 "$log" >&2
    echo "install-deps.sh: cannot install: ${missing[*]}" >&2
    exit 1
fi
