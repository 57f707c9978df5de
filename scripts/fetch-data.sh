#!/bin/sh
# SPDX-License-Identifier: MIT
# Fetches a data set, checks it, and puts it where the configs expect it.
set -u

me=fetch-data.sh

# One row a file: set, file, SHA-256.
files() {
    cat <<'END'
fashion-mnist train-images-idx3-ubyte.gz 3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84
fashion-mnist train-labels-idx1-ubyte.gz a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845
fashion-mnist t10k-images-idx3-ubyte.gz 346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073
fashion-mnist t10k-labels-idx1-ubyte.gz 67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5
mnist train-images-idx3-ubyte.gz 440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609
mnist train-labels-idx1-ubyte.gz 3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c
mnist t10k-images-idx3-ubyte.gz 8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6
mnist t10k-labels-idx1-ubyte.gz f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6
END
}

# Where a set can be had, first choice first.
mirrors() {
    case $1 in
    fashion-mnist)
        echo https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion
        echo http://fashion-mnist.s3-website.eu-central-1.amazonaws.com
        ;;
    mnist)
        echo https://storage.googleapis.com/cvdf-datasets/mnist
        echo https://ossci-datasets.s3.amazonaws.com/mnist
        ;;
    esac
}

# Names of the classes, one a line; nothing if they are the digits.
classes() {
    case $1 in
    fashion-mnist)
        printf '%s\n' T-shirt/top Trouser Pullover Dress Coat Sandal Shirt Sneaker Bag \
            'Ankle boot'
        ;;
    esac
}

names() { files | cut -d ' ' -f 1 | uniq; }

usage() {
    cat <<END
usage: $me NAME [DIR]
       $me --from FOLDER NAME [DIR]

Fetches the data set NAME into DIR (data/NAME if not given) with curl or wget.
Each file gets its name only after its SHA-256 was checked; what an interrupted
download left (FILE.part) is continued by the next call. --from takes the files
from a folder instead, and checks them the same way.

Names:
$(names | sed 's/^/  /')
END
}

say() { echo "$me: $*" >&2; }

usage_error() {
    say "$*"
    say "try '$me --help'"
    exit 2
}

sum() {
    if command -v sha256sum >/dev/null 2>&1; then
        sha256sum <"$1" | cut -d ' ' -f 1
    else
        shasum -a 256 <"$1" | cut -d ' ' -f 1
    fi
}

matches() { [ -f "$1" ] && [ "$(sum "$1")" = "$2" ]; }

# once URL PART: continues what PART already holds. 1: the connection failed;
# 2: the server refused.
once() {
    if command -v curl >/dev/null 2>&1; then
        curl -fL --retry 3 --connect-timeout 20 -C - -o "$2" "$1"
    else
        wget -c --tries=3 --timeout=20 -O "$2" "$1"
    fi
    case $? in
    0) return 0 ;;
    8 | 22 | 33 | 36) return 2 ;;
    *) return 1 ;;
    esac
}

# download URL PART SUM
download() {
    matches "$2" "$3" && return 0
    say "fetching $1"
    once "$1" "$2"
    case $? in
    1) return 1 ;; # PART stays, to be continued
    2)
        # a server also refuses to continue a file that is too long already; one that has
        # not got it at all leaves PART to the next mirror
        [ -s "$2" ] || return 1
        rm -f "$2.whole"
        if ! once "$1" "$2.whole"; then
            rm -f "$2.whole"
            return 1
        fi
        mv -f "$2.whole" "$2"
        ;;
    esac
    matches "$2" "$3" && return 0
    say "$1 did not give the file that was expected: its SHA-256 is $(sum "$2"), expected $3"
    rm -f "$2"
    return 1
}

# take FOLDER/FILE PART SUM: the same from a file that is already here
take() {
    [ -f "$1" ] || { say "there is no '$1'"; return 1; }
    if cp "$1" "$2" && matches "$2" "$3"; then
        return 0
    fi
    [ ! -f "$2" ] || say "'$1' is not the file that was expected: its SHA-256 is $(sum "$2")," \
        "expected $3"
    rm -f "$2"
    return 1
}

# obtain SET FILE PART SUM
obtain() {
    if [ -n "$from" ]; then
        take "$from/$2" "$3" "$4"
        return
    fi
    for url in $(mirrors "$1"); do
        download "$url/$2" "$3" "$4" && return 0
    done
    # an empty PART has nothing to continue from
    [ -s "$3" ] || rm -f "$3"
    return 1
}

from=
case ${1-} in
-h | --help)
    usage
    exit 0
    ;;
--from)
    [ $# -ge 3 ] || usage_error "--from needs a folder and a name"
    from=$2
    shift 2
    [ -d "$from" ] || {
        say "'$from' is not a folder"
        exit 1
    }
    ;;
esac
case ${1-} in
'') usage_error "which data set? There are: $(names | tr '\n' ' ')" ;;
-*) usage_error "unknown option '$1'" ;;
esac
[ $# -le 2 ] || usage_error "too many arguments"
name=$1
names | grep -qxF -e "$name" ||
    usage_error "unknown data set '$name'; there are: $(names | tr '\n' ' ')"
dir=${2-data/$name}

if [ -z "$from" ] && ! command -v curl >/dev/null 2>&1 && ! command -v wget >/dev/null 2>&1; then
    say "neither curl nor wget is here: install one of them, or use --from"
    exit 1
fi
mkdir -p "$dir" || exit 1
failed=0
for file in $(files | awk -v n="$name" '$1 == n { print $2 }'); do
    want=$(files | awk -v n="$name" -v f="$file" '$1 == n && $2 == f { print $3 }')
    if matches "$dir/$file" "$want"; then
        say "$dir/$file is there"
    elif obtain "$name" "$file" "$dir/$file.part" "$want" &&
        mv -f "$dir/$file.part" "$dir/$file"; then
        say "$dir/$file: SHA-256 is right"
    else
        say "cannot get $dir/$file"
        failed=1
        break
    fi
done
if [ $failed = 0 ] && [ -n "$(classes "$name")" ]; then
    classes "$name" >"$dir/classes.txt.part" && mv -f "$dir/classes.txt.part" "$dir/classes.txt" ||
        failed=1
fi
[ $failed = 0 ] || exit 1
say "'$name' is complete in $dir"
