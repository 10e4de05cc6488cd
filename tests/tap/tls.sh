# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=sh disable=SC2034,SC2154
# Certificates and keys for the tests of TLS, in $tmp.

# authority NAME: NAME.pem and NAME.key.
authority() {
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 5 -subj "/CN=$1" \
		-addext basicConstraints=critical,CA:TRUE -keyout "$tmp/$1.key" -out "$tmp/$1.pem" >"$tmp/openssl" 2>&1 ||
		bail_out "openssl: $(cat "$tmp/openssl")"
}

# certify NAME AUTHORITY CN SAN [DAYS]: SAN as openssl has it, "DNS:host,IP:127.0.0.1", or "" for none.
certify() {
	openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$3" -keyout "$tmp/$1.key" \
		-out "$tmp/$1.csr" >"$tmp/openssl" 2>&1 &&
		echo "basicConstraints=CA:FALSE${4:+
subjectAltName=$4}" >"$tmp/$1.ext" &&
		openssl x509 -req -in "$tmp/$1.csr" -CA "$tmp/$2.pem" -CAkey "$tmp/$2.key" -CAcreateserial -days "${5:-5}" \
			-extfile "$tmp/$1.ext" -out "$tmp/$1.pem" >>"$tmp/openssl" 2>&1 ||
		bail_out "openssl: $(cat "$tmp/openssl")"
}

# show_certificate NAME [AUTHORITY]: options by which a program shows it.
show_certificate() {
	echo "--set transport.tls.certificate=$tmp/$1.pem --set transport.tls.certificate-key=$tmp/$1.key" \
		"--set transport.tls.ca=$tmp/${2:-ca}.pem"
}

# show_key NAME: options by which a program uses the file $tmp/NAME.
show_key() {
	echo "--set transport.tls.key-file=$tmp/$1"
}

# taken_up ARGUMENTS...: xfer gets $tmp/pub/large, and the worker that sends it dies in the middle. Behind gates.sh.
taken_up() {
	begin_standing "$tmp/again" "$@" get "$url/pub/large" "$tmp/again"
	kill -KILL "$(worker_pid 0)"
	go_on
	status=0
	wait "$standing_pid" || status=$?
	is "$status" 0 "a worker that dies is survived"
	like_file "$tmp/standing.err" ' again after' "... and the client says so"
	check "... and the file is right" cmp "$tmp/pub/large" "$tmp/again"
}
