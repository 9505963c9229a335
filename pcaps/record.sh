#!/usr/bin/env bash
# Record the captures in this folder again, from real programs in network namespaces.
#
#   sudo bash record.sh [shop|ledger|all] [OUTDIR]
#
# OUTDIR is this folder unless given. README.md tells what is recorded and how.
# Everything runs in namespaces named rfp-s-* and rfp-l-*; the script ends only the
# processes, namespaces and files it made, also when it fails or is interrupted.
set -euo pipefail
export LC_ALL=C

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
WHAT=${1:-all}
OUT=${2:-$HERE}
TSCTP=/usr/lib/usrsctp/tsctp

say() { printf 'record.sh: %s\n' "$*" >&2; }
die() { say "$*"; exit 1; }

# ---------------------------------------------------------------- requirements

need() { # need PROGRAM PACKAGE
  command -v "$1" >/dev/null || MISSING="$MISSING $2"
}

pg_bin() { # newest PostgreSQL server directory
  ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1
}

check_requirements() {
  [ "$(id -u)" = 0 ] || die "must run as root"
  MISSING=
  need ip iproute2
  need sysctl procps
  need nft nftables
  need dnsmasq dnsmasq-base
  need nginx nginx
  need curl curl
  need dig bind9-dnsutils
  need openssl openssl
  python3 -c 'import yaml' 2>/dev/null || MISSING="$MISSING python3-yaml"
  if [ "$WHAT" != ledger ]; then
    need tcpdump tcpdump
    need redis-server redis-server
    need redis-cli redis-tools
    need nmap nmap
  fi
  if [ "$WHAT" != shop ]; then
    need dumpcap wireshark-common
    need socat socat
    need psql postgresql-client
    [ -n "$(pg_bin)" ] || MISSING="$MISSING postgresql"
  fi
  [ -z "$MISSING" ] || die "missing Debian packages:$MISSING"
}

# ------------------------------------------------- what was made, and its removal

WORK=           # scratch directory
PIDS=()         # background programs, in start order
SPACES=()       # network namespaces
MADE_ETC_NETNS=

teardown() { # end and remove all that a scenario made
  local pid ns i
  for ((i = ${#PIDS[@]} - 1; i >= 0; i--)); do kill "${PIDS[i]}" 2>/dev/null; done
  for ns in "${SPACES[@]}"; do
    for pid in $(ip netns pids "$ns" 2>/dev/null); do kill "$pid" 2>/dev/null; done
  done
  for i in {1..50}; do
    [ -z "$(for ns in "${SPACES[@]}"; do ip netns pids "$ns" 2>/dev/null; done)" ] && break
    sleep 0.1
  done
  for ns in "${SPACES[@]}"; do
    for pid in $(ip netns pids "$ns" 2>/dev/null); do kill -KILL "$pid" 2>/dev/null; done
    ip netns del "$ns" 2>/dev/null
    rm -rf "/etc/netns/$ns"
  done
  [ -n "$MADE_ETC_NETNS" ] && rmdir /etc/netns 2>/dev/null
  [ -n "$WORK" ] && rm -rf "$WORK"
  PIDS=() SPACES=() MADE_ETC_NETNS='' WORK=''
  return 0
}

finish() {
  local status=$?
  trap - EXIT INT TERM HUP
  set +e
  [ "$status" -ne 0 ] && [ -n "$WORK" ] && tail -n 3 "$WORK"/*.log >&2 2>/dev/null
  teardown
  exit "$status"
}

# ------------------------------------------------------------------------- basics

P=              # namespace prefix of the scenario, rfp-s or rfp-l

now() { date -u +%Y-%m-%dT%H:%M:%SZ; }

x() { # x NAME COMMAND...: run in the namespace
  local ns=$1
  shift
  ip netns exec "$P-$ns" "$@"
}

bg() { # bg NAME LOG COMMAND...: run in the namespace in the background, pid in BG
  local ns=$1 log=$2
  shift 2
  ip netns exec "$P-$ns" "$@" >"$WORK/$log.log" 2>&1 </dev/null &
  BG=$!
  PIDS+=("$BG")
}

wait_for() { # wait_for WHAT COMMAND...: until it succeeds, at most 10 s
  local what=$1 i
  shift
  for i in {1..100}; do
    "$@" >/dev/null 2>&1 && return
    sleep 0.1
  done
  die "waited in vain for $what"
}

stop() { # stop PID: end one background program and wait for it
  kill "$1"
  wait "$1" || true
}

add_space() { # add_space NAME
  [ ! -e "/run/netns/$P-$1" ] || die "namespace $P-$1 exists already"
  ip netns add "$P-$1"
  SPACES+=("$P-$1")
  x "$1" sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.default.rp_filter=0 \
    net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0 \
    net.ipv4.conf.all.send_redirects=0 net.ipv4.conf.default.send_redirects=0
  [ "$P" = rfp-l ] || x "$1" sysctl -qw net.ipv6.conf.all.disable_ipv6=1 \
    net.ipv6.conf.default.disable_ipv6=1
  ip -n "$P-$1" link set lo up
}

resolver() { # resolver NAME K8SNAMESPACE ADDRESS: what kubelet writes for the pod
  local dir=/etc/netns/$P-$1
  if [ ! -d /etc/netns ]; then
    mkdir /etc/netns
    MADE_ETC_NETNS=1
  fi
  mkdir -p "$dir"
  printf 'search %s.svc.cluster.local svc.cluster.local cluster.local\nnameserver %s\noptions ndots:5\n' \
    "$2" "$3" >"$dir/resolv.conf"
  echo 'hosts: files dns' >"$dir/nsswitch.conf"
  echo '127.0.0.1 localhost' >"$dir/hosts"
}

# Facts for dump.py. A pod's startTime is taken when its namespace is made, its
# container's startedAt just before its program starts.
declare -A WHO  # address -> ns/workload

pod_fact() { # pod_fact NS PODNAME KIND OWNER NODE IPS HOSTNET STARTTIME
  local ip
  printf 'pod\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t-\t%s\n' \
    "$1" "$2" "$3" "$4" "$5" "$6" "$7" "$8" "$(now)" "$CREATED" >>"$WORK/facts"
  [ "$7" = 1 ] && return
  for ip in ${6//,/ }; do WHO[$ip]=$1/$4; done
}

pod_finished() { # pod_finished PODNAME
  awk -F'\t' -v OFS='\t' -v name="$1" -v t="$(now)" \
    '$1 == "pod" && $3 == name { $11 = t } { print }' "$WORK/facts" >"$WORK/facts.new"
  mv "$WORK/facts.new" "$WORK/facts"
}

# True edges: counted where the program that talks is started.
declare -A EDGES

hit() { # hit "EDGE OUTCOME" [N]
  EDGES[$1]=$((${EDGES[$1]:-0} + ${2:-1}))
}

talk() { # talk "EDGE OUTCOME" NAME COMMAND...: one connection that must succeed
  local edge=$1
  shift
  x "$@" >"$WORK/talk.log" 2>&1 </dev/null || die "failed ($edge): $*"
  hit "$edge"
}

fail() { # fail "EDGE OUTCOME" NAME COMMAND...: one connection that must fail
  local edge=$1
  shift
  if x "$@" >"$WORK/talk.log" 2>&1 </dev/null; then die "succeeded ($edge): $*"; fi
  hit "$edge"
}

CURL="curl -fsS --max-time 10 -o /dev/null"

# DNS conversations are what the resolver logged: one per client address and port.
declare -A DNS_TCP  # ns/workload -> how many of them were made over TCP

dns_edges() { # dns_edges LOG SKIPLINES
  local ip n who
  while read -r n ip; do
    who=${WHO[$ip]:?no pod has address $ip}
    hit "$who -> kube-system/coredns:53/UDP answered" "$n"
  done < <(tail -n "+$(($2 + 1))" "$1" | grep -F ' query[' |
    sed -E 's/.* ([0-9a-f.:]+)\/([0-9]+) query\[.*/\1 \2/' | sort -u | cut -d' ' -f1 | uniq -c)
  for who in "${!DNS_TCP[@]}"; do
    hit "$who -> kube-system/coredns:53/UDP answered" "-${DNS_TCP[$who]}"
    hit "$who -> kube-system/coredns:53/TCP answered" "${DNS_TCP[$who]}"
  done
}

write_edges() { # write_edges FILE: header on standard input
  local e
  {
    sed 's/^/# /'
    echo '#'
    echo '# client -> server:port/PROTO outcome connections'
    for e in "${!EDGES[@]}"; do [ "${EDGES[$e]}" -gt 0 ] && echo "$e ${EDGES[$e]}"; done | sort
  } >"$1"
}

publish() { # publish SCENARIO FILE...: move the finished files to OUTDIR
  local scenario=$1 f
  shift
  mkdir -p "$OUT/$scenario"
  for f in "$@"; do
    cp "$WORK/$f" "$OUT/$scenario/${f##*/}"
    [ -z "${SUDO_UID:-}" ] || chown "$SUDO_UID:${SUDO_GID:-0}" "$OUT/$scenario/${f##*/}"
  done
  say "wrote $scenario: $*"
}

# ------------------------------------------------------------------------ programs

run_nginx() { # run_nginx NAME SERVERBLOCKS
  local dir=$WORK/nginx-$1
  mkdir "$dir"
  cat >"$dir/nginx.conf" <<EOF
daemon off;
worker_processes 1;
user www-data;
pid $dir/nginx.pid;
error_log $dir/error.log;
events { worker_connections 64; }
http {
  access_log off;
  server_tokens off;
  default_type text/plain;
  client_body_temp_path $dir/t1;
  proxy_temp_path $dir/t2;
  fastcgi_temp_path $dir/t3;
  uwsgi_temp_path $dir/t4;
  scgi_temp_path $dir/t5;
$2
}
EOF
  bg "$1" "nginx-$1" nginx -p "$dir" -e "$dir/error.log" -c "$dir/nginx.conf"
}

certificate() { # certificate NAME: a self-signed one, files NAME.crt and NAME.key
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 \
    -subj "/CN=$1" -addext "subjectAltName=DNS:$1" \
    -keyout "$WORK/$1.key" -out "$WORK/$1.crt" 2>/dev/null
}

run_dnsmasq() { # run_dnsmasq NAME: records on standard input, queries in $WORK/dns.log
  {
    printf '%s\n' no-resolv no-hosts keep-in-foreground user=root group=root \
      local=/cluster.local/ local-ttl=5 log-queries=extra "log-facility=$WORK/dns.log" \
      "pid-file=$WORK/dnsmasq.pid"
    cat
  } >"$WORK/dnsmasq.conf"
  bg "$1" dnsmasq dnsmasq -C "$WORK/dnsmasq.conf"
}

listening() { # listening NAME PORT: TCP
  x "$1" ss -Hltn "sport = :$2" | grep -q .
}

API_SERVER='
  server { listen 8080; @V6@
    location / { return 200 "{\"items\":[17,42]}\n"; }
    location /healthz { return 200 "ok\n"; } }
  server { listen 9113;
    location / { return 200 "api_requests_total 42\n"; } }'

# ---------------------------------------------------------------------------- shop

shop_node() { # shop_node NAME N OTHERN: N is the number of the pod network
  local ns=$P-$1
  add_space "$1"
  x "$1" sysctl -qw net.ipv4.ip_forward=1
  ip -n "$P-net" link add "to-$1" type veth peer name eth0 netns "$ns"
  ip -n "$P-net" link set "to-$1" master br0 up
  ip -n "$ns" addr add "192.168.50.1$2/24" dev eth0
  ip -n "$ns" link set eth0 up
  ip -n "$ns" route add default via 192.168.50.1
  ip -n "$ns" link add cni0 type bridge
  ip -n "$ns" addr add "10.244.$2.1/24" dev cni0
  ip -n "$ns" link set cni0 up
  ip -n "$ns" link add flannel.1 address "$(vtep "$2")" type vxlan id 1 dev eth0 \
    local "192.168.50.1$2" dstport 8472 nolearning
  ip -n "$ns" addr add "10.244.$2.0/32" dev flannel.1
  ip -n "$ns" link set flannel.1 mtu 1450 up
  # what flanneld adds for the other node
  ip -n "$ns" neigh add "10.244.$3.0" lladdr "$(vtep "$3")" dev flannel.1 nud permanent
  x "$1" bridge fdb append "$(vtep "$3")" dev flannel.1 dst "192.168.50.1$3"
  ip -n "$ns" route add "10.244.$3.0/24" via "10.244.$3.0" dev flannel.1 onlink
  # what kube-proxy and flanneld add: cluster addresses and masquerade
  x "$1" nft -f - <<'EOF'
table ip rfp {
  chain services {
    ip daddr 10.96.0.1 tcp dport 443 dnat to 192.168.50.11:6443
    ip daddr 10.96.0.10 udp dport 53 dnat to 10.244.2.2:53
    ip daddr 10.96.0.10 tcp dport 53 dnat to 10.244.2.2:53
    ip daddr 10.96.0.20 tcp dport 80 dnat to numgen inc mod 2 map { 0 : 10.244.1.12, 1 : 10.244.2.12 } : 8080
    ip daddr 10.96.0.30 tcp dport 6379 dnat to 10.244.1.20:6379
  }
  chain prerouting { type nat hook prerouting priority dstnat; jump services; }
  chain output { type nat hook output priority -100; jump services; }
  chain postrouting {
    type nat hook postrouting priority srcnat;
    ip saddr 10.244.0.0/16 ip daddr != 10.244.0.0/16 masquerade
  }
  chain forward {
    type filter hook forward priority filter;
    ip daddr 10.244.1.20 tcp dport 6380 drop
  }
}
EOF
  printf 'node\t%s\t192.168.50.1%s\t-\t10.244.%s.0/24\t-\t%s\t%s\n' \
    "$1" "$2" "$2" "$(now)" "$(vtep "$2")" >>"$WORK/facts"
}

vtep() { echo "7e:5a:0c:1f:44:0$1"; }

shop_pod() { # shop_pod NAME NODE ADDRESS K8SNAMESPACE
  local ns=$P-$1 if
  STARTTIME=$(now)
  if=veth$(printf '%s' "$1" | md5sum | cut -c1-8)
  add_space "$1"
  ip -n "$P-$2" link add "$if" mtu 1450 type veth peer name eth0 mtu 1450 netns "$ns"
  ip -n "$P-$2" link set "$if" master cni0 up
  ip -n "$ns" addr add "$3/24" dev eth0
  ip -n "$ns" link set eth0 up
  ip -n "$ns" route add default via "${3%.*}.1"
  resolver "$1" "$4" 10.96.0.10
}

shop() {
  say "shop: two nodes, VXLAN, IPv4"
  P=rfp-s EDGES=() WHO=() DNS_TCP=()
  CREATED=$(now)
  local i cap_a cap_b

  # the wire between the nodes, and the world behind it
  add_space net
  x net sysctl -qw net.ipv4.ip_forward=1
  ip -n $P-net link add br0 type bridge
  ip -n $P-net addr add 192.168.50.1/24 dev br0
  ip -n $P-net link set br0 up
  add_space pay
  ip -n $P-net link add to-pay type veth peer name eth0 netns $P-pay
  ip -n $P-net addr add 203.0.113.1/24 dev to-pay
  ip -n $P-net link set to-pay up
  ip -n $P-pay addr add 203.0.113.80/24 dev eth0
  ip -n $P-pay link set eth0 up
  ip -n $P-pay route add default via 203.0.113.1
  shop_node node-a 1 2
  shop_node node-b 2 1

  certificate api.payments.example
  certificate kubernetes
  run_nginx pay "server { listen 443 ssl; ssl_certificate $WORK/api.payments.example.crt;
    ssl_certificate_key $WORK/api.payments.example.key; ssl_session_tickets off;
    location / { return 200 \"{\\\"status\\\":\\\"paid\\\"}\\n\"; } }"

  bg node-a tcpdump-a tcpdump -i any -y LINUX_SLL2 -nn -U -s 2048 -Z root -w "$WORK/node-a.pcap"
  cap_a=$BG
  bg node-b tcpdump-b tcpdump -i any -y LINUX_SLL2 -nn -U -s 2048 -Z root -w "$WORK/node-b.pcap"
  cap_b=$BG
  wait_for tcpdump grep -q 'listening on any' "$WORK/tcpdump-a.log"
  wait_for tcpdump grep -q 'listening on any' "$WORK/tcpdump-b.log"
  sleep 0.5

  # node programs: the API server on node-a, node-exporter on both
  STARTTIME=$(now)
  local exporter='server { listen 9100; location / { return 200 "node_load1 0.21\n"; } }'
  run_nginx node-a "$exporter
    server { listen 6443 ssl; ssl_certificate $WORK/kubernetes.crt;
      ssl_certificate_key $WORK/kubernetes.key; ssl_session_tickets off;
      location / { return 200 \"{\\\"kind\\\":\\\"PodList\\\",\\\"items\\\":[]}\\n\"; } }"
  run_nginx node-b "$exporter"
  pod_fact monitoring node-exporter-8vwzq DaemonSet node-exporter node-a 192.168.50.11 1 "$STARTTIME"
  pod_fact monitoring node-exporter-tx4nd DaemonSet node-exporter node-b 192.168.50.12 1 "$STARTTIME"

  shop_pod dns node-b 10.244.2.2 kube-system
  pod_fact kube-system coredns-6799fbcd5-k7tqd Deployment coredns node-b 10.244.2.2 0 "$STARTTIME"
  run_dnsmasq dns <<'EOF'
host-record=kubernetes.default.svc.cluster.local,10.96.0.1
host-record=kube-dns.kube-system.svc.cluster.local,10.96.0.10
host-record=api.shop.svc.cluster.local,10.96.0.20
host-record=redis.data.svc.cluster.local,10.96.0.30
cname=api.payments.example,edge.payments.example
host-record=edge.payments.example,203.0.113.80
EOF

  shop_pod redis node-a 10.244.1.20 data
  pod_fact data redis-0 StatefulSet redis node-a 10.244.1.20 0 "$STARTTIME"
  bg redis redis redis-server --port 6379 --bind 0.0.0.0 --protected-mode no --save '' --dir "$WORK"

  shop_pod api1 node-a 10.244.1.12 shop
  pod_fact shop api-7d8b5c6f49-2xkqp Deployment api node-a 10.244.1.12 0 "$STARTTIME"
  run_nginx api1 "${API_SERVER/@V6@/}"
  shop_pod api2 node-b 10.244.2.12 shop
  pod_fact shop api-7d8b5c6f49-w9r6m Deployment api node-b 10.244.2.12 0 "$STARTTIME"
  run_nginx api2 "${API_SERVER/@V6@/}"

  shop_pod web1 node-a 10.244.1.11 shop
  pod_fact shop web-58c4d7fbb6-h5zlt Deployment web node-a 10.244.1.11 0 "$STARTTIME"
  shop_pod web2 node-b 10.244.2.11 shop
  pod_fact shop web-58c4d7fbb6-qd8vj Deployment web node-b 10.244.2.11 0 "$STARTTIME"
  shop_pod worker node-b 10.244.2.30 shop
  pod_fact shop worker-6b9f8c7d5d-rn2sx Deployment worker node-b 10.244.2.30 0 "$STARTTIME"
  shop_pod prom node-b 10.244.2.40 monitoring
  pod_fact monitoring prometheus-79d6c8f5b7-4mwgc Deployment prometheus node-b 10.244.2.40 0 "$STARTTIME"
  shop_pod idle node-a 10.244.1.30 shop
  pod_fact shop idle-5f6d9b8c4-z7xkb Deployment idle node-a 10.244.1.30 0 "$STARTTIME"

  for i in node-a:9100 node-a:6443 node-b:9100 dns:53 redis:6379 api1:8080 api2:8080 api1:9113 pay:443; do
    wait_for "$i" listening "${i%:*}" "${i#*:}"
  done

  say "shop: traffic"
  # web calls the api Service by name; the second call of each pod asks twice in one connection
  for i in web1 web2; do
    talk "shop/web -> shop/api:8080/TCP answered" $i $CURL http://api/
    talk "shop/web -> shop/api:8080/TCP answered" $i $CURL http://api/orders -o /dev/null http://api/items
    talk "shop/web -> shop/api:8080/TCP answered" $i $CURL http://api.shop/
  done
  # api calls redis by Service name and the payment provider by its outside name
  for i in api1 api2; do
    talk "shop/api -> data/redis:6379/TCP answered" $i redis-cli -h redis.data SET "cart:$i" 3
    talk "shop/api -> data/redis:6379/TCP answered" $i redis-cli -h redis.data INCRBY "cart:$i" 2
    talk "shop/api -> 203.0.113.80:443/TCP answered" $i $CURL -k https://api.payments.example/
  done
  talk "shop/api -> 203.0.113.80:443/TCP answered" api2 $CURL -k https://api.payments.example/refund
  # kubelet's probes: each node to its own api pod
  for i in 1 2; do
    talk "node:node-a -> shop/api:8080/TCP answered" node-a $CURL -A kube-probe/1.29 http://10.244.1.12:8080/healthz
    talk "node:node-b -> shop/api:8080/TCP answered" node-b $CURL -A kube-probe/1.29 http://10.244.2.12:8080/healthz
    sleep 0.3
  done
  # prometheus: the API server by name, api pods by pod address, node-exporter by node address
  talk "monitoring/prometheus -> node:node-a:6443/TCP answered" prom \
    $CURL -k https://kubernetes.default.svc/api/v1/pods
  for i in 1 2; do
    talk "monitoring/prometheus -> shop/api:9113/TCP answered" prom $CURL http://10.244.1.12:9113/metrics
    talk "monitoring/prometheus -> shop/api:9113/TCP answered" prom $CURL http://10.244.2.12:9113/metrics
    talk "monitoring/prometheus -> monitoring/node-exporter:9100/TCP answered" prom $CURL http://192.168.50.11:9100/metrics
    talk "monitoring/prometheus -> monitoring/node-exporter:9100/TCP answered" prom $CURL http://192.168.50.12:9100/metrics
  done
  # worker: a closed port, a dropped port, DNS over TCP, a connect scan of an api pod
  for i in 1 2; do
    fail "shop/worker -> data/redis:6399/TCP refused" worker $CURL http://10.244.1.20:6399/
    fail "shop/worker -> data/redis:6380/TCP unanswered" worker $CURL --connect-timeout 2 http://10.244.1.20:6380/
  done
  x worker dig +tcp +tries=1 +time=5 api.shop.svc.cluster.local @10.96.0.10 >"$WORK/talk.log" ||
    die "DNS over TCP failed"
  DNS_TCP[shop/worker]=1
  x worker nmap -sT -Pn -n --max-retries 0 -p 8076-8085 10.244.1.12 >"$WORK/talk.log" || die "nmap failed"
  for i in {8076..8085}; do
    if grep -q "^$i/tcp open" "$WORK/talk.log"; then
      hit "shop/worker -> shop/api:$i/TCP answered"
    else
      hit "shop/worker -> shop/api:$i/TCP refused"
    fi
  done

  sleep 1
  stop "$cap_a"
  stop "$cap_b"
  dns_edges "$WORK/dns.log" 0
  write_edges "$WORK/edges.txt" <<'EOF'
True edges of the shop recording, counted by record.sh as it started the programs
(DNS: counted from the resolver's own log, one per client port).
Ports are the server's own, behind the Service address. Services:
  api.shop 10.96.0.20:80, redis.data 10.96.0.30:6379, kube-dns 10.96.0.10:53,
  kubernetes.default 10.96.0.1:443 (the API server, a process of node-a).
monitoring/node-exporter runs on the host network: its addresses are the nodes'.
shop/worker's 8076 to 8085 is one connect scan of the api pod on node-a.
shop/idle talks to nobody.
EOF
  python3 "$HERE/dump.py" shop "$WORK/facts" >"$WORK/cluster.yaml"
  publish shop node-a.pcap node-b.pcap cluster.yaml edges.txt
}

# -------------------------------------------------------------------------- ledger

ledger_node() { # ledger_node NAME N OTHERN
  local ns=$P-$1
  add_space "$1"
  x "$1" sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
  ip -n "$P-net" link add "to-$1" type veth peer name eth0 netns "$ns"
  ip -n "$P-net" link set "to-$1" master br0 up
  ip -n "$ns" addr add "192.168.60.1$2/24" dev eth0
  ip -n "$ns" addr add "fd00:60::1$2/64" dev eth0 nodad
  ip -n "$ns" link set eth0 up
  ip -n "$ns" route add default via 192.168.60.1
  ip -n "$ns" route add "10.245.$3.0/24" via "192.168.60.1$3"
  ip -n "$ns" -6 route add "fd00:10:245:$3::/64" via "fd00:60::1$3"
  x "$1" nft -f - <<'EOF'
table ip rfp {
  chain services {
    ip daddr 10.97.0.10 udp dport 53 dnat to 10.245.2.2:53
    ip daddr 10.97.0.10 tcp dport 53 dnat to 10.245.2.2:53
    ip daddr 10.97.0.20 tcp dport 80 dnat to numgen inc mod 2 map { 0 : 10.245.1.12, 1 : 10.245.2.12 } : 8080
    ip daddr 10.97.0.40 udp dport 8125 dnat to 10.245.1.40:8125
  }
  chain prerouting { type nat hook prerouting priority dstnat; jump services; }
  chain output { type nat hook output priority -100; jump services; }
}
table ip6 rfp {
  chain services {
    ip6 daddr fd00:10:97::a udp dport 53 dnat to [fd00:10:245:2::2]:53
    ip6 daddr fd00:10:97::a tcp dport 53 dnat to [fd00:10:245:2::2]:53
    ip6 daddr fd00:10:97::20 tcp dport 80 dnat to numgen inc mod 2 map { 0 : fd00:10:245:1::12, 1 : fd00:10:245:2::12 } : 8080
    ip6 daddr fd00:10:97::30 tcp dport 5432 dnat to [fd00:10:245:2::30]:5432
    ip6 daddr fd00:10:97::40 udp dport 8125 dnat to [fd00:10:245:1::40]:8125
  }
  chain prerouting { type nat hook prerouting priority dstnat; jump services; }
  chain output { type nat hook output priority -100; jump services; }
}
EOF
  printf 'node\t%s\t192.168.60.1%s\tfd00:60::1%s\t10.245.%s.0/24\tfd00:10:245:%s::/64\t%s\t-\n' \
    "$1" "$2" "$2" "$2" "$2" "$(now)" >>"$WORK/facts"
}

cali() { echo "cali$(printf '%s' "$1" | md5sum | cut -c1-11)"; }

ledger_pod() { # ledger_pod NAME NODE N HOST: addresses 10.245.N.HOST and fd00:10:245:N::HOST
  local ns=$P-$1 if v4=10.245.$3.$4 v6=fd00:10:245:$3::$4
  STARTTIME=$(now)
  IPS=$v4,$v6
  if=$(cali "$1")
  add_space "$1"
  ip -n "$P-$2" link add "$if" address ee:ee:ee:ee:ee:ee type veth peer name eth0 netns "$ns"
  x "$2" sysctl -qw "net.ipv4.conf.$if.proxy_arp=1" "net.ipv4.neigh.$if.proxy_delay=0"
  ip -n "$P-$2" link set "$if" up
  ip -n "$P-$2" route add "$v4/32" dev "$if"
  ip -n "$P-$2" -6 route add "$v6/128" dev "$if"
  ip -n "$ns" addr add "$v4/32" dev eth0
  ip -n "$ns" addr add "$v6/128" dev eth0 nodad
  ip -n "$ns" link set eth0 up
  ip -n "$ns" route add 169.254.1.1 dev eth0 scope link
  ip -n "$ns" route add default via 169.254.1.1
  ip -n "$ns" -6 route add default via fe80::ecee:eeff:feee:eeee dev eth0
  resolver "$1" ledger 10.97.0.10
}

remove_pod() { # remove_pod NAME: the pod's programs have ended
  local ns=$P-$1 i
  ip netns del "$ns"
  rm -rf "/etc/netns/$ns"
  for i in "${!SPACES[@]}"; do [ "${SPACES[i]}" != "$ns" ] || unset 'SPACES[i]'; done
}

sql() { # sql NAME STATEMENT: one connection to the db Service, over IPv6
  talk "${WHO_SQL:?} -> ledger/db:5432/TCP answered" "$1" \
    psql -X -q -h db.ledger -U ledger -d postgres -c "$2"
}

audit_loop() { # one connection that was open before the recording and goes on
  while [ ! -e "$WORK/audit.stop" ]; do
    echo 'SELECT count(*) FROM entry;'
    sleep 0.7
  done | x audit psql -X -q -t -h db.ledger -U ledger -d postgres
}

ledger() {
  say "ledger: two nodes, plain routing, IPv4 and IPv6"
  P=rfp-l EDGES=() WHO=() DNS_TCP=()
  CREATED=$(now)
  local i cap before pg audit sctp='' note

  add_space net
  x net sysctl -qw net.ipv4.ip_forward=1
  ip -n $P-net link add br0 type bridge
  ip -n $P-net addr add 192.168.60.1/24 dev br0
  ip -n $P-net link set br0 up
  ledger_node node-a 1 2
  ledger_node node-b 2 1

  # the bank: 198.51.100.9 at the far end of a tunnel that node-a keeps to 203.0.113.90
  add_space bank
  ip -n $P-net link add to-bank type veth peer name eth0 netns $P-bank
  ip -n $P-net addr add 203.0.113.1/24 dev to-bank
  ip -n $P-net link set to-bank up
  ip -n $P-bank addr add 203.0.113.90/24 dev eth0
  ip -n $P-bank addr add 198.51.100.9/32 dev lo
  ip -n $P-bank link set eth0 up
  ip -n $P-bank route add default via 203.0.113.1
  bg bank tunnel-bank socat TUN:172.16.99.2/30,tun-name=tun0,iff-no-pi,tun-type=tun,up \
    UDP4-DATAGRAM:192.168.60.11:51820,bind=203.0.113.90:51820
  bg node-a tunnel-a socat TUN:172.16.99.1/30,tun-name=tun0,iff-no-pi,tun-type=tun,up \
    UDP4-DATAGRAM:203.0.113.90:51820,bind=192.168.60.11:51820
  for i in node-a bank; do
    wait_for "the tunnel" ip -n $P-$i addr show dev tun0
    wait_for "the tunnel" sh -c "ip -n $P-$i link show dev tun0 | grep -q UP"
    ip -n $P-$i link set tun0 mtu 1400
  done
  ip -n $P-node-a route add 198.51.100.0/24 dev tun0
  ip -n $P-bank route add 10.245.0.0/16 dev tun0
  certificate bank.example
  run_nginx bank "server { listen 198.51.100.9:443 ssl; ssl_certificate $WORK/bank.example.crt;
    ssl_certificate_key $WORK/bank.example.key; ssl_session_tickets off;
    location / { return 200 \"{\\\"balance\\\":1200}\\n\"; } }"

  ledger_pod dns node-b 2 2
  pod_fact kube-system coredns-76f75df574-9jlxw Deployment coredns node-b "$IPS" 0 "$STARTTIME"
  run_dnsmasq dns <<'EOF'
host-record=kubernetes.default.svc.cluster.local,10.97.0.1
host-record=kube-dns.kube-system.svc.cluster.local,10.97.0.10,fd00:10:97::a
host-record=api.ledger.svc.cluster.local,10.97.0.20,fd00:10:97::20
host-record=db.ledger.svc.cluster.local,fd00:10:97::30
host-record=statsd.ledger.svc.cluster.local,10.97.0.40,fd00:10:97::40
host-record=bank.example,198.51.100.9
EOF

  ledger_pod db node-b 2 30
  pod_fact ledger db-0 StatefulSet db node-b "$IPS" 0 "$STARTTIME"
  pg=$(pg_bin)
  mkdir "$WORK/pg"
  chown postgres: "$WORK/pg"
  (cd "$WORK/pg" && setpriv --reuid postgres --regid postgres --init-groups \
    "$pg/initdb" -N -A trust -U ledger -D "$WORK/pg/data" >"$WORK/initdb.log" 2>&1) || die "initdb failed"
  echo 'host all all all trust' >>"$WORK/pg/data/pg_hba.conf"
  bg db postgres setpriv --reuid postgres --regid postgres --init-groups \
    "$pg/postgres" -D "$WORK/pg/data" -h '*' -k "$WORK/pg" -c fsync=off -c shared_buffers=16MB \
    -c max_connections=20 -c autovacuum=off
  wait_for postgres x db psql -X -h "$WORK/pg" -U ledger -d postgres -c 'SELECT 1'
  x db psql -X -q -h "$WORK/pg" -U ledger -d postgres -c 'CREATE TABLE entry (id int, cents int)'

  ledger_pod api1 node-a 1 12
  pod_fact ledger api-66f8d7c9b5-l2vgs Deployment api node-a "$IPS" 0 "$STARTTIME"
  run_nginx api1 "${API_SERVER/@V6@/listen [::]:8080;}"
  ledger_pod api2 node-b 2 12
  pod_fact ledger api-66f8d7c9b5-xk8wn Deployment api node-b "$IPS" 0 "$STARTTIME"
  run_nginx api2 "${API_SERVER/@V6@/listen [::]:8080;}"
  ledger_pod statsd node-a 1 40
  pod_fact ledger statsd-85b4f6c7d9-b6rjt Deployment statsd node-a "$IPS" 0 "$STARTTIME"
  bg statsd statsd socat -u UDP6-RECV:8125,ipv6-v6only=0 "OPEN:$WORK/statsd.out,creat,append"
  ledger_pod writer node-a 1 21
  pod_fact ledger writer-5d4c8b9f67-v7n4z Deployment writer node-a "$IPS" 0 "$STARTTIME"
  ledger_pod frontend node-a 1 22
  pod_fact ledger frontend-77c9d5b8f4-qg5tx Deployment frontend node-a "$IPS" 0 "$STARTTIME"
  ledger_pod audit node-a 1 23
  pod_fact ledger audit-6c7f9d8b54-m2pkd Deployment audit node-a "$IPS" 0 "$STARTTIME"
  for i in dns:53 api1:8080 api2:8080 bank:443; do
    wait_for "$i" listening "${i%:*}" "${i#*:}"
  done

  # SCTP: ncat where the kernel has it, else a user-space stack on raw sockets, else none
  if python3 -c 'import socket; socket.socket(socket.AF_INET, socket.SOCK_STREAM, 132)' 2>/dev/null &&
    command -v ncat >/dev/null; then
    sctp=kernel
  elif [ -x $TSCTP ]; then
    sctp=user
  else
    say "ledger: no SCTP (no kernel support, package libusrsctp-examples not installed)"
  fi
  if [ -n "$sctp" ]; then
    ledger_pod signal node-b 2 50
    pod_fact ledger signal-59b7c6d8f4-8hzdc Deployment signal node-b "$IPS" 0 "$STARTTIME"
    ledger_pod gateway node-a 1 51
    pod_fact ledger gateway-7b6d5f9c8d-s4lqv Deployment gateway node-a "$IPS" 0 "$STARTTIME"
    if [ $sctp = kernel ]; then
      bg signal sctp ncat --sctp -4 -k -l 7654
    else
      bg signal sctp $TSCTP -p 7654
    fi
  fi

  # the connection that is older than the recording
  rm -f "$WORK/audit.stop"
  audit_loop >"$WORK/audit.log" 2>&1 &
  audit=$!
  PIDS+=("$audit")
  wait_for "the audit connection" grep -q '[0-9]' "$WORK/audit.log"
  hit "ledger/audit -> ledger/db:5432/TCP answered"
  before=$(wc -l <"$WORK/dns.log")

  # node-a: uplink, three pods, the tunnel, and `any` for an address that two pods have in turn
  bg node-a dumpcap dumpcap -q -s 2048 -w "$WORK/capture.pcapng" \
    -i eth0 -i "$(cali writer)" -i "$(cali frontend)" -i "$(cali api1)" -i tun0 \
    -i any -f 'host 10.245.1.60 or host fd00:10:245:1::60'
  cap=$BG
  wait_for dumpcap grep -q '^File:' "$WORK/dumpcap.log"
  sleep 1

  say "ledger: traffic"
  hit "node:node-a -> 203.0.113.90:51820/UDP answered"
  WHO_SQL=ledger/writer
  for i in 1 2 3; do sql writer "INSERT INTO entry VALUES ($i, 100)"; done
  # frontend calls api by name, by both families
  for i in 1 2 3 4; do
    talk "ledger/frontend -> ledger/api:8080/TCP answered" frontend $CURL -4 http://api/
    talk "ledger/frontend -> ledger/api:8080/TCP answered" frontend $CURL -6 http://api/
  done
  # metrics: one datagram each, no answer
  for i in 1 2 3; do
    talk "ledger/api -> ledger/statsd:8125/UDP one-way" api1 bash -c 'echo "api.hits:1|c" >/dev/udp/statsd.ledger/8125'
    talk "ledger/api -> ledger/statsd:8125/UDP one-way" api2 bash -c 'echo "api.hits:1|c" >/dev/udp/10.97.0.40/8125'
    talk "ledger/writer -> ledger/statsd:8125/UDP one-way" writer bash -c 'echo "writer.rows:1|c" >/dev/udp/statsd.ledger/8125'
  done
  # two datagrams too large for the link, one per family
  head -c 3000 /dev/zero | tr '\0' m >"$WORK/large"
  talk "ledger/api -> ledger/statsd:8125/UDP one-way" api2 socat -u -b 4000 "OPEN:$WORK/large" UDP4-SENDTO:10.97.0.40:8125
  talk "ledger/writer -> ledger/statsd:8125/UDP one-way" writer socat -u -b 4000 "OPEN:$WORK/large" 'UDP6-SENDTO:[fd00:10:97::40]:8125'
  # a UDP port nobody listens on: ICMP and ICMPv6 port unreachable
  talk "ledger/writer -> ledger/db:9999/UDP refused" writer bash -c 'echo probe >/dev/udp/10.245.2.30/9999'
  talk "ledger/writer -> ledger/db:9999/UDP refused" writer bash -c 'echo probe >/dev/udp/fd00:10:245:2::30/9999'
  # DNS over TCP, and DNS over IPv6
  x frontend dig +tcp +tries=1 +time=5 api.ledger.svc.cluster.local AAAA @10.97.0.10 >"$WORK/talk.log" ||
    die "DNS over TCP failed"
  DNS_TCP[ledger/frontend]=1
  x frontend dig +tries=1 +time=5 db.ledger.svc.cluster.local AAAA @fd00:10:97::a >"$WORK/talk.log" ||
    die "DNS over IPv6 failed"
  # kubelet's probes on node-a, the node that is recorded
  for i in 1 2; do
    talk "node:node-a -> ledger/api:8080/TCP answered" node-a $CURL -A kube-probe/1.29 http://10.245.1.12:8080/healthz
  done
  case $sctp in
    kernel) talk "ledger/gateway -> ledger/signal:7654/SCTP answered" gateway sh -c 'echo hello | ncat --sctp -4 -i 1 10.245.2.50 7654 || true' ;;
    user) talk "ledger/gateway -> ledger/signal:7654/SCTP answered" gateway timeout 20 $TSCTP -n 3 -l 64 -p 7654 10.245.2.50 ;;
  esac

  # a Job that runs, ends, and leaves its address to a later pod of a Deployment
  ledger_pod migrate node-a 1 60
  pod_fact ledger migrate-4bq7z Job migrate node-a "$IPS" 0 "$STARTTIME"
  WHO_SQL=ledger/migrate
  sql migrate 'ALTER TABLE entry ADD note text'
  sleep 0.5
  sql migrate 'CREATE INDEX ON entry (id)'
  sleep 1 # so that finishedAt, cut to seconds, is later than the last packet
  dns_edges "$WORK/dns.log" "$before" # before the address has another owner
  before=$(wc -l <"$WORK/dns.log")
  pod_finished migrate-4bq7z
  remove_pod migrate
  # meanwhile a CronJob's pod runs and ends
  ledger_pod reconcile node-a 1 61
  i=reconcile-$(($(date +%s) / 60))-ttfkr
  pod_fact ledger "$i" CronJob reconcile node-a "$IPS" 0 "$STARTTIME"
  WHO_SQL=ledger/reconcile
  sql reconcile 'SELECT sum(cents) FROM entry'
  sleep 1
  pod_finished "$i"
  remove_pod reconcile
  sleep 3
  CREATED=$(now)
  ledger_pod report node-a 1 60
  pod_fact ledger report-84d9c7f6b5-c5nws Deployment report node-a "$IPS" 0 "$STARTTIME"
  sleep 0.5
  for i in 1 2; do
    talk "ledger/report -> ledger/api:8080/TCP answered" report $CURL -6 http://api/report
    talk "ledger/report -> 198.51.100.9:443/TCP answered" report $CURL -k https://bank.example/balance
  done

  sleep 1
  stop "$cap"
  touch "$WORK/audit.stop"
  wait "$audit" || die "the audit connection failed"
  [ "$(grep -c 'Packets received' "$WORK/dumpcap.log")" -gt 0 ] || die "dumpcap stopped early"
  [ "$(tr -cd m <"$WORK/statsd.out" | wc -c)" -ge 6000 ] || die "the large datagrams did not arrive"
  DNS_TCP=()
  dns_edges "$WORK/dns.log" "$before"
  note="ledger/gateway -> ledger/signal is SCTP."
  [ -n "$sctp" ] || note="No SCTP: this machine has none."
  write_edges "$WORK/edges.txt" <<EOF
True edges of the ledger recording, counted by record.sh as it started the programs
(DNS: counted from the resolver's own log, one per client port).
Ports are the server's own, behind the Service address. Services:
  api.ledger 10.97.0.20 and fd00:10:97::20 port 80, db.ledger fd00:10:97::30:5432,
  statsd.ledger 10.97.0.40 and fd00:10:97::40:8125, kube-dns 10.97.0.10 and fd00:10:97::a.
ledger/audit's connection opens before the recording starts: there is no SYN of it.
ledger/migrate (ended) and ledger/report (later) have the same addresses in turn.
198.51.100.9 is behind node-a's tunnel tun0, which is the 203.0.113.90:51820 edge.
$note
EOF
  gzip -9 -n -c "$WORK/capture.pcapng" >"$WORK/capture.pcapng.gz"
  python3 "$HERE/dump.py" ledger "$WORK/facts" >"$WORK/cluster.yaml"
  publish ledger capture.pcapng.gz cluster.yaml edges.txt
}

# ---------------------------------------------------------------------------- main

case $WHAT in
  shop | ledger | all) ;;
  *) die "usage: record.sh [shop|ledger|all] [OUTDIR]" ;;
esac
check_requirements
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
mkdir -p "$OUT"
for scenario in shop ledger; do
  if [ "$WHAT" = "$scenario" ] || [ "$WHAT" = all ]; then
    WORK=$(mktemp -d /tmp/rfp-XXXXXX)
    chmod 755 "$WORK"
    "$scenario"
    set +e
    teardown
    set -e
  fi
done
