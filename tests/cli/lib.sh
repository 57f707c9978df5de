# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# What the cases have in common; sourced before each of them.
export PATH=$OMQ_BIN:$PATH

fail() {
    echo "failed: $*"
    exit 1
}

skip() {
    echo "$*"
    exit 77
}

need() {
    local program
    for program in "$@"; do
        command -v "$program" >/dev/null || skip "$program is not installed"
    done
}

# Whether ONNX Runtime's QLinearConv of weights s8 is exact here. On x86 without VNNI it adds
# two products in 16 bits, which cannot hold all of u8 and s8.
qlinear_is_exact() {
    [ "$(uname -m)" != x86_64 ] || grep -qw -e avx512_vnni -e avx_vnni /proc/cpuinfo
}

# long: only of make check-all, which sets OMQ_LONG.
long() {
    [ -n "${OMQ_LONG:-}" ] || skip "long: make check-all runs it"
}

# expect STATUS COMMAND...: runs it with stdout to the file out and stderr to err.
expect() {
    local want=$1 status=0
    shift
    "$@" >out 2>err || status=$?
    [ $status -eq "$want" ] || {
        cat out err
        fail "exit status $status, not $want: $*"
    }
}

# has FILE TEXT...: each text is in a line of the file.
has() {
    local file=$1 text
    shift
    for text in "$@"; do
        grep -qF -e "$text" "$file" || {
            cat "$file"
            fail "no '$text' in $file"
        }
    done
}

has_not() {
    ! grep -qF -e "$2" "$1" || {
        cat "$1"
        fail "'$2' in $1"
    }
}

empty() {
    [ ! -s "$1" ] || {
        cat "$1"
        fail "$1 is not empty"
    }
}

# wait_for PID FILE TEXT: until the file has it; fails if the process ends first.
wait_for() {
    local n=0
    until grep -qF -e "$3" "$2" 2>/dev/null; do
        kill -0 "$1" 2>/dev/null || {
            ! grep -qF -e "$3" "$2" || return 0 # it was the last that it said
            cat "$2"
            fail "the process ended before it said '$3'"
        }
        n=$((n + 1))
        [ $n -lt 6000 ] || fail "no '$3' in $2 for a minute"
        sleep 0.01
    done
}

# ended PID STATUS: waits for a process in the background.
ended() {
    local status=0
    wait "$1" || status=$?
    [ $status -eq "$2" ] || {
        [ ! -e err ] || cat err
        fail "exit status $status, not $2"
    }
}

# make_png FILE WIDTH HEIGHT CHANNELS [SEED]: a picture of noise, 1 or 3 channels.
# make_idx FILE WIDTH HEIGHT COUNT [SEED]: grey images of noise.
# make_raw FILE BYTES [SEED]
make_png() { make_images png "$@"; }
make_idx() { make_images idx "$@"; }
make_raw() { make_images raw "$@"; }
make_images() {
    need python3
    python3 - "$@" <<'END'
import random, struct, sys, zlib
kind, name, numbers = sys.argv[1], sys.argv[2], [int(x) for x in sys.argv[3:]]
args = numbers[:1 if kind == "raw" else 3]
rng = random.Random(sum(numbers[len(args):]))
noise = lambda n: bytes(rng.randrange(256) for _ in range(n))
def chunk(tag, data):
    return struct.pack(">I", len(data)) + tag + data + struct.pack(">I", zlib.crc32(tag + data))
if kind == "raw":
    data = noise(args[0])
elif kind == "idx":
    width, height, count = args
    data = struct.pack(">IIII", 0x803, count, height, width) + noise(count * height * width)
else:
    width, height, channels = args
    rows = b"".join(b"\0" + noise(width * channels) for _ in range(height))
    head = struct.pack(">IIBBBBB", width, height, 8, 0 if channels == 1 else 2, 0, 0, 0)
    data = (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) +
            chunk(b"IEND", b""))
with open(name, "wb") as f:
    f.write(data)
END
}

# follow OPTION...: omq-run --follow in the background, over the frames that come
# through the FIFO "frames", which stays open as descriptor 3; $pid is its process.
# Its output goes to the files answers and said, what it says of itself to omq/.
follow() {
    export XDG_RUNTIME_DIR=$PWD
    rm -f frames answers said # of the last one, which must not be taken for this one's
    mkfifo frames
    # Standard input waits for the writer, so omq-run starts when 3 is open.
    omq-run -f -t 1 "$@" <frames >answers 2>said 3>&- &
    pid=$!
    exec 3>frames
    until omq-switch --status "${*: -1}" 3>&- | grep -q "^ *$pid "; do
        kill -0 "$pid" || fail "omq-run ended: $(<said)"
        sleep 0.02
    done
}

# frame N: one more goes through the FIFO, and answer N comes.
frame() {
    cat one >&3
    wait_for "$pid" answers "-[$1]"
}

# followed STATUS: no more frames.
followed() {
    exec 3>&-
    ended "$pid" "$1"
}

# A configuration that trains within a second, on generated images.
tiny_config() {
    cat <<'END'
output_dir: run
seed: 7
threads: 1
bits: [8, 2, {w: 4, a: 8}]
data:
  format: synthetic
  synthetic: {height: 12, width: 12, channels: 1, classes: 4, train: 96, test: 40}
  mean: [0.5]
  std: [0.25]
model: {arch: resnet8, width: 0.25}
train: {epochs: 2, batch_size: 16, widths_per_step: 0}
END
}

# tiny_model [OPTION...]: trains it; the model is run/model.omq.
tiny_model() {
    tiny_config >tiny.yaml
    expect 0 omq-train -q "$@" tiny.yaml
}
