# SPDX-License-Identifier: BSD-2-Clause
# shellcheck shell=sh disable=SC2154,SC2034
# Sourced by bench/run: the daemons, each on a free port of the loopback, in a control group of its own, offering
# $source as `pub`. daemon_NAME_pid and, for the commands of the rows, NAME_port.

daemon_pids=

# daemon_spawn NAME COMMAND...: its output in $work/NAME.log.
daemon_spawn() {
	spawn_name=$1
	shift
	spawn_group=$(group_option g "daemon-$spawn_name") || return 1
	# shellcheck disable=SC2086 # an option or nothing
	"$measure" join $spawn_group -- "$@" >"$work/$spawn_name.log" 2>&1 </dev/null &
	eval "daemon_${spawn_name}_pid=$!"
	daemon_pid=$!
	daemon_pids="$daemon_pids $!"
}

# daemon_says ERE: prints what the brackets of ERE match, as soon as the newest daemon says it.
daemon_says() {
	says_left=200
	until grep -Eq "$1" "$work/$spawn_name.log"; do
		says_left=$((says_left - 1))
		if [ $says_left -eq 0 ] || ! kill -0 "$daemon_pid" 2>/dev/null; then
			return 1
		fi
		sleep 0.05
	done
	sed -nE "s/.*$1.*/\\1/p" "$work/$spawn_name.log" | head -n 1
}

# daemon_start NAME: unless it is there already.
daemon_start() {
	eval "start_pid=\${daemon_$1_pid-}"
	[ -z "$start_pid" ] || return 0
	# Another program may take a port between the question and the answer.
	for start_attempt in 1 2 3; do
		"start_$1" && return 0
	done
	echo "bench: $1 does not start; it says:" >&2
	cat "$work/$1.log" >&2
	return 1
}

daemons_stop() {
	for stop_pid in $daemon_pids; do
		kill -TERM "$stop_pid" 2>/dev/null
	done
	for stop_pid in $daemon_pids; do
		wait "$stop_pid" 2>/dev/null
	done
	daemon_pids=
}

xferd_config() {
	[ -e "$work/key" ] || "$build/xfer" keygen -q -o "$work/key" bench || return 1
	cat >"$work/xfer.ini" <<-END
		[pipeline]
		integrity = sha256, crc32, none
		[daemon]
		listen = 127.0.0.1:0, tls://127.0.0.1:0
		; each run makes its digests, whatever the one before it was
		digest-store = none
		[transport.tls]
		key-file = $work/key
		[export.pub]
		path = $source
		[export.in]
		path = $work
		access = read-write
	END
}

start_xferd() {
	xferd_config || return 1
	daemon_spawn xferd "$build/xferd" -c "$work/xfer.ini"
	xferd_port=$(daemon_says 'listening on 127\.0\.0\.1:([0-9]+) \(tcp') &&
		xferd_tls_port=$(daemon_says 'listening on 127\.0\.0\.1:([0-9]+) \(tls')
}

# start_threads N: one whose pools have so many threads each.
start_threads() {
	xferd_config || return 1
	daemon_spawn "xferd_threads_$1" "$build/xferd" -c "$work/xfer.ini" --set "core.threads=$1"
	threads_port=$(daemon_says 'listening on 127\.0\.0\.1:([0-9]+) \(tcp')
}

start_xferd_threads_1() {
	start_threads 1 && xferd_threads_1_port=$threads_port
}

start_xferd_threads_2() {
	start_threads 2 && xferd_threads_2_port=$threads_port
}

start_xferd_threads_4() {
	start_threads 4 && xferd_threads_4_port=$threads_port
}

start_xferd_known() {
	xferd_config || return 1
	daemon_spawn xferd_known "$build/xferd" -c "$work/xfer.ini" --set daemon.digest-store="$work/known"
	xferd_known_port=$(daemon_says 'listening on 127\.0\.0\.1:([0-9]+) \(tcp')
}

# As it comes: with digests in memory for a moment.
start_xferd_default() {
	xferd_config || return 1
	daemon_spawn xferd_default "$build/xferd" -c "$work/xfer.ini" --set daemon.digest-store=memory
	xferd_default_port=$(daemon_says 'listening on 127\.0\.0\.1:([0-9]+) \(tcp')
}

start_bare() {
	daemon_spawn bare "$build/bench/bare" serve "$source/file"
	bare_port=$(daemon_says '^([0-9]+)$')
}

start_rsync() {
	rsync_port=$("$measure" port) || return 1
	cat >"$work/rsyncd.conf" <<-END
		use chroot = no
		address = 127.0.0.1
		port = $rsync_port
		log file = $work/rsyncd.log
		[pub]
		path = $source
		read only = yes
		[in]
		path = $work
		read only = no
	END
	# Root would serve as nobody.
	[ "$(id -u)" -ne 0 ] || printf 'uid = root\ngid = root\n' >>"$work/rsyncd.conf"
	daemon_spawn rsync rsync --daemon --no-detach --config="$work/rsyncd.conf"
	"$measure" await "$rsync_port" "$daemon_pid"
}

start_nginx() {
	nginx_port=$("$measure" port) || return 1
	mkdir -p "$work/nginx"
	nginx_user=
	[ "$(id -u)" -ne 0 ] || nginx_user='user root;'
	cat >"$work/nginx/nginx.conf" <<-END
		daemon off;
		$nginx_user
		worker_processes 1;
		pid $work/nginx/pid;
		error_log $work/nginx/error.log;
		events { worker_connections 256; }
		http {
			access_log off;
			sendfile on;
			tcp_nopush on;
			client_body_temp_path $work/nginx/body;
			proxy_temp_path $work/nginx/proxy;
			fastcgi_temp_path $work/nginx/fastcgi;
			uwsgi_temp_path $work/nginx/uwsgi;
			scgi_temp_path $work/nginx/scgi;
			server {
				listen 127.0.0.1:$nginx_port;
				location /pub/ { alias $source/; }
			}
		}
	END
	daemon_spawn nginx nginx -p "$work/nginx" -c "$work/nginx/nginx.conf" -e "$work/nginx/error.log"
	"$measure" await "$nginx_port" "$daemon_pid"
}

# As root both want another user to serve as.
start_gridftp() {
	gridftp_port=$("$measure" port) || return 1
	gridftp_user=
	[ "$(id -u)" -ne 0 ] || gridftp_user="-anonymous-user nobody"
	# shellcheck disable=SC2086 # an option and its value, or nothing
	daemon_spawn gridftp globus-gridftp-server -aa $gridftp_user -p "$gridftp_port" -control-interface 127.0.0.1 \
		-data-interface 127.0.0.1
	"$measure" await "$gridftp_port" "$daemon_pid"
}

start_xrootd() {
	xrootd_port=$("$measure" port) || return 1
	mkdir -p "$work/xrootd"
	cat >"$work/xrootd/cfg" <<-END
		all.export $source
		xrd.port $xrootd_port
		xrd.network nodnr
		all.adminpath $work/xrootd
		all.pidpath $work/xrootd
	END
	xrootd_user=
	if [ "$(id -u)" -eq 0 ]; then
		chown nobody "$work/xrootd"
		xrootd_user="-R nobody"
	fi
	# shellcheck disable=SC2086
	daemon_spawn xrootd xrootd $xrootd_user -c "$work/xrootd/cfg" -l "$work/xrootd/log" -I v4
	"$measure" await "$xrootd_port" "$daemon_pid"
}

start_sshd() {
	sshd_port=$("$measure" port) || return 1
	mkdir -p "$work/ssh"
	[ "$(id -u)" -ne 0 ] || mkdir -p /run/sshd
	for start_key in host user; do
		ssh-keygen -q -t ed25519 -N '' -f "$work/ssh/$start_key" <<-END || return 1
			y
		END
	done
	cat >"$work/ssh/config" <<-END
		ListenAddress 127.0.0.1:$sshd_port
		HostKey $work/ssh/host
		AuthorizedKeysFile $work/ssh/user.pub
		StrictModes no
		PermitRootLogin prohibit-password
		UsePAM no
		PidFile none
		Subsystem sftp internal-sftp
	END
	daemon_spawn sshd "$(command -v sshd)" -D -e -f "$work/ssh/config"
	"$measure" await "$sshd_port" "$daemon_pid"
}
