#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Makes this folder's models and golden files with the reference implementation: a folder with mkmodel.py and
# mkgolden.py, the only operand. Never run by the tests.
set -eu
reference=$1
cd "$(dirname "$0")"

export PYTHONPATH="$reference"

# make NAME PRESET SEED TOKENS [option of mkmodel.py...]
make() {
    name=$1
    preset=$2
    seed=$3
    tokens=$4
    shift 4
    python3 "$reference/mkmodel.py" "$preset" "$name" --seed "$seed" "$@"
    python3 "$reference/mkgolden.py" "$name" "$name/golden.safetensors" --tokens "$tokens" --seed "$seed" \
        --positions 8 --greedy 4
}

make tiny tiny 21 75 --set layers=3 --set vocab=160 --set dense_inter=64
make tiny_mxfp8 tiny 22 61 --mxfp8 --set layers=3 --set vocab=160
make odd odd 23 67 --set layers=3 --set experts=4 --set dense_inter=40 --set vocab=201
make onekv onekv 24 130 --set layers=3 --set experts=3 --set dense_inter=40 --set vocab=130

# Pictures and a clip of three temporal patches; then the same with segments of two, whose golden file has no pixels: they
# are the first one's. tests/unit/test_trace.c changes the configuration.
small='--set layers=2 --set experts=3 --set dense_inter=40 --set vocab=130 --set v_layers=2 --set v_hidden=80
    --set v_inter=96 --set projector=48'
golden() {
    python3 "$reference/mkgolden.py" "$1" "$2" --tokens 30 --seed 25 --positions 8 --greedy 4 --pictures
}
python3 "$reference/mkmodel.py" vision vision --seed 25 $small
golden vision vision/golden.safetensors
python3 "$reference/mkmodel.py" vision segments --seed 25 $small --set segment_frames=2
golden segments vision/golden_segments.safetensors
rm -r segments
python3 - vision/golden_segments.safetensors << 'END'
import sys
import m3ref
tensors = m3ref.safetensors_read(sys.argv[1])
del tensors["pixels"]
m3ref.safetensors_write(sys.argv[1], tensors)
END
