# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=sh disable=SC2034,SC2016
# Sourced by bench/run: what is measured.
#
# A case has rows, in the order of the table, and ratios that are expected of us. A row is a function row_NAME that sets
#   kind    ours, peer, limit (what nobody can beat)
#   label   for people
#   check   what is verified, end to end
#   daemon  the one it needs (bench/daemons.sh), or nothing
#   needs   programs, as PROGRAM or PROGRAM:PACKAGE where Debian's package has another name
#   command for sh: moves $source/$item to $got/$item

cases_all="file tree"

case_rows() {
	case $1 in
	file) echo xfer_none xfer_crc32 xfer_sha256 rsync nginx nginx_sha256 bare ;;
	tree) echo xfer_sha256 xfer_none rsync tar cp ;;
	esac
}

# Lines of: ours, peer, the ratio of rates that we want at least. Level is 0.9, since less than a tenth is noise.
case_goals() {
	case $1 in
	file)
		echo xfer_sha256 rsync 0.75
		echo xfer_sha256 nginx_sha256 1.3
		echo xfer_crc32 rsync 1.2
		echo xfer_none rsync 1.2
		;;
	tree) echo xfer_sha256 rsync 0.9 ;;
	esac
}

row_xfer() {
	kind=ours daemon=xferd needs=
	label="xfer, $1"
	check=$2
	command='exec "$build/xfer" -c "$work/xfer.ini" get -q --integrity '$1
	command=$command' "xfer://127.0.0.1:$xferd_port/pub/$item" "$got/"'
}

row_xfer_sha256() {
	row_xfer sha256 "SHA-256, each chunk"
}

row_xfer_crc32() {
	row_xfer crc32 "CRC-32, each chunk"
}

row_xfer_none() {
	row_xfer none "nothing"
}

row_rsync() {
	kind=peer daemon=rsync needs=rsync
	label="rsync daemon, --whole-file"
	check="XXH128, each file"
	command='exec rsync --whole-file -rlpt "rsync://127.0.0.1:$rsync_port/pub/$item" "$got/"'
}

row_nginx() {
	kind=peer daemon=nginx needs="nginx curl"
	label="nginx (sendfile), curl"
	check="nothing"
	command='exec curl -sSf -o "$got/$item" "http://127.0.0.1:$nginx_port/pub/$item"'
}

# The two digests are made at the same time, as two machines would.
row_nginx_sha256() {
	kind=peer daemon=nginx needs="nginx curl openssl"
	label="nginx, curl, then openssl dgst on both sides"
	check="SHA-256, the file"
	command='curl -sSf -o "$got/$item" "http://127.0.0.1:$nginx_port/pub/$item" || exit
openssl dgst -sha256 -r "$source/$item" >"$work/digest-there" &
openssl dgst -sha256 -r "$got/$item" >"$work/digest-here" || exit
wait $! && read -r there _ <"$work/digest-there" && read -r here _ <"$work/digest-here" && [ "$there" = "$here" ]'
}

row_bare() {
	kind=limit daemon=bare needs=
	label="bare read, send, receive, write in C"
	check="nothing"
	command='exec "$build/bench/bare" get "$bare_port" "$got/$item"'
}

row_tar() {
	kind=peer daemon='' needs="tar socat"
	label="tar | socat | tar"
	check="nothing"
	command='socat -u -b 1048576 "TCP-LISTEN:$free_port,bind=127.0.0.1,reuseaddr" STDOUT | tar -xf - -C "$got" &
tar -cf - -C "$source" "$item" |
socat -u -b 1048576 STDIN "TCP:127.0.0.1:$free_port,retry=500,interval=0.002" && wait $!'
}

row_cp() {
	kind=limit daemon='' needs=cp:coreutils
	label="cp -r, on this machine"
	check="nothing"
	command='exec cp -r "$source/$item" "$got/"'
}
