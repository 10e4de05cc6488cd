# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=sh disable=SC2034,SC2016,SC2154
# Sourced by bench/run: what is measured.
#
# A case has rows, in the order of the table, and ratios that are expected of us. A row is a function row_NAME that sets
#   kind    ours, peer, limit (what nobody can beat)
#   label   for people
#   check   what is verified, end to end
#   daemon  the one it needs (bench/daemons.sh), or nothing
#   needs   programs, as PROGRAM or PROGRAM:PACKAGE where Debian's package has another name
#   command for sh: moves $source/$item to $got/$item

cases_all="file put secure tree put-tree clients first threads"

case_rows() {
	case $1 in
	file)
		echo xfer_none xfer_crc32 xfer_sha256 xfer_known rsync nginx nginx_sha256 gridftp gridftp_sha256 xrootd xrootd_pages \
			socat bare
		;;
	put) echo xfer_put rsync_put ;;
	secure) echo xfer_tls scp ;;
	tree) echo xfer_sha256 xfer_none rsync tar cp ;;
	put-tree) echo xfer_put rsync_put tar ;;
	clients) echo xfer_clients xfer_clients_hashed nginx_clients rsync_clients ;;
	first) echo xfer_first curl_first ;;
	threads) echo threads_1 threads_2 threads_4 digest_1 digest_2 digest_4 ;;
	esac
}

# Lines of: rate, ours, peer, the ratio of rates that we want at least (level is 0.9, since less than a tenth is noise);
# cpu, ours, `both` or `daemon`, seconds per GiB at the most; there, ours, peer, our daemon's processor seconds in those of the
# peer's, in the same round, at the most; later, ours, peer, milliseconds more at the most.
case_goals() {
	case $1 in
	file)
		cat <<-END
			rate xfer_sha256 gridftp_sha256 3
			rate xfer_sha256 rsync 1.3
			rate xfer_sha256 gridftp 0.9
			cpu xfer_sha256 both 1.3
			rate xfer_known gridftp 1.2
			cpu xfer_known daemon 0.13
			there xfer_known nginx 1
			rate xfer_crc32 gridftp 1.2
			rate xfer_crc32 xrootd_pages 2.8
			cpu xfer_crc32 both 0.95
			rate xfer_none gridftp 1.3
			rate xfer_none xrootd 1
			rate xfer_none bare 0.95
			cpu xfer_none both 0.8
		END
		;;
	put) echo rate xfer_put rsync_put 1.5 ;;
	secure) echo rate xfer_tls scp 1.5 ;;
	tree)
		echo rate xfer_sha256 rsync 2
		echo rate xfer_sha256 tar 0.9
		;;
	put-tree)
		echo rate xfer_put rsync_put 2
		echo rate xfer_put tar 0.9
		;;
	clients) echo rate xfer_clients nginx_clients 0.9 ;;
	first) echo later xfer_first curl_first 2 ;;
	esac
}

# case_begin CASE: sets $item and $many, makes the source unless it is there, and says what is counted.
case_begin() {
	many=1
	case $1 in
	file | put | secure | threads)
		item="file"
		case $1 in
		file) begin_what="A file" ;;
		put) begin_what="A put of a file" ;;
		secure) begin_what="Encrypted: a file" ;;
		threads) begin_what="One connection, or none, with pools of several threads: a file" ;;
		esac
		record case "$1" GB/s "$(ratio_of "$bytes_file" 1000000000)" "CPU s/GiB" "$(ratio_of "$bytes_file" 1073741824)" \
			"$begin_what of $mib MiB of random bytes"
		[ -e "$source/file" ] || "$build/bench/sample" file "$source/file" "$bytes_file"
		;;
	tree | put-tree)
		item=tree
		if [ "$1" = tree ]; then begin_what="A tree"; else begin_what="A put of a tree"; fi
		record case "$1" files/s "$files" "CPU s" 1 "$begin_what of $files files of $file_size bytes"
		[ -e "$source/tree" ] ||
			"$build/bench/sample" tree "$source/tree" $(((files + 99) / 100)) "$files" "$file_size"
		;;
	clients)
		item=part many=$clients
		record case "$1" GB/s "$(ratio_of "$bytes_clients" 1000000000)" "CPU s/GiB" \
			"$(ratio_of "$bytes_clients" 1073741824)" "$clients clients at once, $client_mib MiB each"
		[ -e "$source/part" ] || "$build/bench/sample" file "$source/part" $((client_mib * 1048576))
		;;
	first)
		item=byte many=$starts
		record case "$1" gets/s "$starts" "CPU ms each" "$(ratio_of "$starts" 1000)" \
			"One byte, $starts times, one behind the other; the start of the client is in it"
		printf x >"$source/byte"
		;;
	esac
}

ratio_of() {
	"$awk" "BEGIN { printf \"%.9f\", $1 / $2 }"
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

# By a daemon that keeps digests: in the first round it makes them.
row_xfer_known() {
	row_xfer_sha256
	daemon=xferd_known
	label="xfer, sha256, digests known to the daemon"
	command='exec "$build/xfer" -c "$work/xfer.ini" get -q --integrity sha256 \
	"xfer://127.0.0.1:$xferd_known_port/pub/$item" "$got/"'
}

row_xfer_tls() {
	kind=ours daemon=xferd needs=
	label="xfer, tls, sha256"
	check="AES-GCM, on the wire; SHA-256, each chunk"
	command='exec "$build/xfer" -c "$work/xfer.ini" get -q --integrity sha256 \
	"xfer+tls://127.0.0.1:$xferd_tls_port/pub/$item" "$got/"'
}

# row_threads N: both sides have so many threads to read and write, and so many to hash.
row_threads() {
	row_xfer_sha256
	threads=$1
	daemon=xferd_threads_$1
	label="xfer, sha256, core.threads = $1"
	command='exec "$build/xfer" -c "$work/xfer.ini" get -q --integrity sha256 --set core.threads='$1' \
	"xfer://127.0.0.1:$xferd_threads_'$1'_port/pub/$item" "$got/"'
}

row_threads_1() {
	row_threads 1
}

row_threads_2() {
	row_threads 2
}

row_threads_4() {
	row_threads 4
}

# row_digest N: what the pools of one program make of it, without a network.
row_digest() {
	kind=ours daemon='' needs=
	label="xfer digest, sha256, core.threads = $1"
	check="SHA-256, each chunk"
	command='"$build/xfer" -c "$work/xfer.ini" digest -q --integrity sha256 --set core.threads='$1' "$source/$item" \
	>"$work/digest" && ln "$source/$item" "$got/$item"'
}

row_digest_1() {
	row_digest 1
}

row_digest_2() {
	row_digest 2
}

row_digest_4() {
	row_digest 4
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

row_gridftp() {
	kind=peer daemon=gridftp needs="globus-url-copy:globus-gass-copy-progs globus-gridftp-server:globus-gridftp-server-progs"
	label="GridFTP, globus-url-copy"
	check="nothing"
	command='exec globus-url-copy "ftp://127.0.0.1:$gridftp_port$source/$item" "file://$got/$item"'
}

row_gridftp_sha256() {
	row_gridftp
	label="GridFTP, globus-url-copy -verify-checksum"
	check="SHA-256, the file, afterwards"
	command='exec globus-url-copy -verify-checksum -checksum-alg sha256 "ftp://127.0.0.1:$gridftp_port$source/$item" \
	"file://$got/$item"'
}

row_xrootd_pages() {
	kind=peer daemon=xrootd needs="xrdcp:xrootd-client xrootd:xrootd-server"
	label="XRootD, xrdcp"
	check="CRC-32C, each page, on the wire"
	command='exec xrdcp -s -N "root://127.0.0.1:$xrootd_port/$source/$item" "$got/$item"'
}

row_xrootd() {
	row_xrootd_pages
	label="XRootD, xrdcp without page checks"
	check="nothing"
	command="XRD_CPUSEPGWRTRD=0 $command"
}

row_socat() {
	kind=peer daemon='' needs=socat
	label="socat, socat"
	check="nothing"
	command='socat -u -b 1048576 "TCP-LISTEN:$free_port,bind=127.0.0.1,reuseaddr" "CREATE:$got/$item" &
socat -u -b 1048576 "OPEN:$source/$item" "TCP:127.0.0.1:$free_port,retry=500,interval=0.002" && wait $!'
}

row_xfer_put() {
	kind=ours daemon=xferd needs=
	label="xfer put, sha256"
	check="SHA-256, each chunk"
	command='exec "$build/xfer" -c "$work/xfer.ini" put -q --integrity sha256 "$source/$item" \
	"xfer://127.0.0.1:$xferd_port/in/got/"'
}

row_rsync_put() {
	row_rsync
	label="rsync daemon, --whole-file, push"
	command='exec rsync --whole-file -rlpt "$source/$item" "rsync://127.0.0.1:$rsync_port/in/got/"'
}

row_scp() {
	kind=peer daemon=sshd needs="scp:openssh-client sshd:openssh-server"
	label="scp, aes128-gcm"
	check="AES-GCM, on the wire"
	command='exec scp -q -F none -c aes128-gcm@openssh.com -P "$sshd_port" -i "$work/ssh/user" -o BatchMode=yes \
	-o UserKnownHostsFile="$work/ssh/known" -o StrictHostKeyChecking=accept-new "127.0.0.1:$source/$item" "$got/"'
}

# row_many COMMAND: $many of them at once, each with $each as the number of its own and the folder $got/$each.
row_many() {
	command='each=0 pids=
while [ $each -lt $many ]; do
	each=$((each + 1))
	mkdir "$got/$each" || exit
	'$1' &
	pids="$pids $!"
done
for pid in $pids; do
	wait $pid || exit
done'
}

row_xfer_clients() {
	row_xfer_sha256
	daemon=xferd_default
	row_many '"$build/xfer" -c "$work/xfer.ini" get -q "xfer://127.0.0.1:$xferd_default_port/pub/$item" "$got/$each/"'
}

# By a daemon that keeps no digests: as clients of whom each wants another file.
row_xfer_clients_hashed() {
	row_xfer_sha256
	label="xfer, sha256, digest-store = none"
	row_many '"$build/xfer" -c "$work/xfer.ini" get -q "xfer://127.0.0.1:$xferd_port/pub/$item" "$got/$each/"'
}

row_nginx_clients() {
	row_nginx
	row_many 'curl -sSf -o "$got/$each/$item" "http://127.0.0.1:$nginx_port/pub/$item"'
}

row_rsync_clients() {
	row_rsync
	row_many 'rsync --whole-file -rlpt "rsync://127.0.0.1:$rsync_port/pub/$item" "$got/$each/"'
}

# row_serial COMMAND: the same, one behind the other.
row_serial() {
	command='each=0
while [ $each -lt $many ]; do
	each=$((each + 1))
	mkdir "$got/$each" || exit
	'$1' || exit
done'
}

row_xfer_first() {
	row_xfer_sha256
	row_serial '"$build/xfer" -c "$work/xfer.ini" get -q "xfer://127.0.0.1:$xferd_port/pub/$item" "$got/$each/"'
}

row_curl_first() {
	row_nginx
	row_serial 'curl -sSf -o "$got/$each/$item" "http://127.0.0.1:$nginx_port/pub/$item"'
}
