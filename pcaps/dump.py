#!/usr/bin/env python3
"""Write what `kubectl get ... -A -o yaml` prints for the recorded cluster.

Usage: dump.py shop|ledger FACTS > cluster.yaml

FACTS is written by record.sh while it runs, one tab-separated fact a line:
  node NAME V4 V6|- CIDR4 CIDR6|- CREATED VTEPMAC|-
  pod  NS NAME KIND OWNER NODE IPS HOSTNET CREATED STARTED FINISHED|- OWNERCREATED
Everything that a capture can contradict (addresses, nodes, times) comes from
there. This file holds only what is fixed: labels, ports, probes, Services.
"""
import hashlib
import sys
import uuid

import yaml

HTTP_PROBES = {
    "livenessProbe": {"path": "/healthz", "port": "http", "period": 10},
    "readinessProbe": {"path": "/healthz", "port": "http", "period": 5},
}


def app(image, labels, ports=(), probes=None, command=None):
    return {"image": image, "labels": labels, "ports": ports, "probes": probes or {}, "command": command}


# (namespace, workload) -> image, labels, container ports (name, port, protocol), probes
APPS = {
    "shop": {
        ("kube-system", "coredns"): app(
            "coredns:1.11.1", {"k8s-app": "kube-dns"},
            [("dns", 53, "UDP"), ("dns-tcp", 53, "TCP")]),
        ("shop", "web"): app("web:3.1.0", {"app": "web", "app.kubernetes.io/part-of": "shop"}),
        ("shop", "api"): app(
            "api:2.8.4", {"app": "api", "app.kubernetes.io/part-of": "shop"},
            [("http", 8080, "TCP"), ("metrics", 9113, "TCP")], HTTP_PROBES),
        ("shop", "worker"): app("worker:1.0.2", {"app": "worker", "app.kubernetes.io/part-of": "shop"}),
        ("shop", "idle"): app("idle:0.1.0", {"app": "idle"}, [("http", 8000, "TCP")]),
        ("data", "redis"): app("redis:7.0", {"app": "redis"}, [("redis", 6379, "TCP")]),
        ("monitoring", "prometheus"): app(
            "prometheus:2.53.0", {"app.kubernetes.io/name": "prometheus"}, [("web", 9090, "TCP")]),
        ("monitoring", "node-exporter"): app(
            "node-exporter:1.8.1", {"app.kubernetes.io/name": "node-exporter"},
            [("metrics", 9100, "TCP")]),
    },
    "ledger": {
        ("kube-system", "coredns"): app(
            "coredns:1.11.1", {"k8s-app": "kube-dns"},
            [("dns", 53, "UDP"), ("dns-tcp", 53, "TCP")]),
        ("ledger", "db"): app("postgres:15", {"app": "db"}, [("postgres", 5432, "TCP")]),
        ("ledger", "writer"): app("writer:5.0.1", {"app": "writer"}),
        ("ledger", "audit"): app("audit:1.3.0", {"app": "audit"}),
        ("ledger", "api"): app("api:4.2.0", {"app": "api"}, [("http", 8080, "TCP")], HTTP_PROBES),
        ("ledger", "frontend"): app("frontend:4.2.0", {"app": "frontend"}),
        ("ledger", "statsd"): app("statsd:0.26.0", {"app": "statsd"}, [("statsd", 8125, "UDP")]),
        ("ledger", "signal"): app("signal:1.1.0", {"app": "signal"}, [("m3ua", 2905, "SCTP")]),
        ("ledger", "gateway"): app("gateway:1.1.0", {"app": "gateway"}),
        ("ledger", "report"): app("report:0.9.0", {"app": "report"}),
        ("ledger", "migrate"): app(
            "migrate:5.0.1", {"app": "migrate"}, command=["migrate", "up"]),
        ("ledger", "reconcile"): app(
            "reconcile:5.0.1", {"app": "reconcile"}, command=["reconcile", "--once"]),
    },
}

# namespace, name, cluster addresses, selector, ports (name, port, targetPort, protocol)
SERVICES = {
    "shop": [
        ("kube-system", "kube-dns", ["10.96.0.10"], {"k8s-app": "kube-dns"},
         [("dns", 53, 53, "UDP"), ("dns-tcp", 53, 53, "TCP")]),
        ("shop", "api", ["10.96.0.20"], {"app": "api"}, [("http", 80, "http", "TCP")]),
        ("data", "redis", ["10.96.0.30"], {"app": "redis"}, [("redis", 6379, "redis", "TCP")]),
    ],
    "ledger": [
        ("kube-system", "kube-dns", ["10.97.0.10", "fd00:10:97::a"], {"k8s-app": "kube-dns"},
         [("dns", 53, 53, "UDP"), ("dns-tcp", 53, 53, "TCP")]),
        ("ledger", "db", ["fd00:10:97::30"], {"app": "db"}, [("postgres", 5432, "postgres", "TCP")]),
        ("ledger", "api", ["10.97.0.20", "fd00:10:97::20"], {"app": "api"},
         [("http", 80, "http", "TCP")]),
        ("ledger", "statsd", ["10.97.0.40", "fd00:10:97::40"], {"app": "statsd"},
         [("statsd", 8125, "statsd", "UDP")]),
    ],
}
KUBERNETES_IP = {"shop": "10.96.0.1", "ledger": "10.97.0.1"}
NAMESPACES = {
    "shop": ["data", "default", "kube-system", "monitoring", "shop"],
    "ledger": ["default", "kube-system", "ledger"],
}
SUFFIX = "bcdfghjklmnpqrstvwxz2456789"


class Dump:
    def __init__(self, scenario, facts):
        self.scenario = scenario
        self.nodes, self.pods = [], []
        self.version = 400
        for line in facts:
            f = line.rstrip("\n").split("\t")
            if f[0] == "node":
                self.nodes.append(dict(zip(
                    ["name", "v4", "v6", "cidr4", "cidr6", "created", "mac"], f[1:])))
            elif f[0] == "pod":
                pod = dict(zip(["ns", "name", "kind", "owner", "node", "ips", "hostnet",
                                "created", "started", "finished", "owner_created"], f[1:]))
                pod["ips"] = pod["ips"].split(",")
                pod["hostnet"] = pod["hostnet"] == "1"
                pod["finished"] = None if pod["finished"] == "-" else pod["finished"]
                self.pods.append(pod)
        self.start = self.nodes[0]["created"]

    def uid(self, *key):
        text = "/".join((self.scenario, self.start) + key)
        return str(uuid.UUID(bytes=hashlib.md5(text.encode()).digest(), version=4))

    def meta(self, kind, ns, name, created, labels=None, owner=None, annotations=None, generation=None):
        self.version += 3
        m = {"creationTimestamp": created, "name": name, "resourceVersion": str(self.version),
             "uid": self.uid(kind, ns or "", name)}
        if ns:
            m["namespace"] = ns
        if labels:
            m["labels"] = dict(labels)
        if annotations:
            m["annotations"] = dict(annotations)
        if generation:
            m["generation"] = generation
        if owner:
            api, okind, oname = owner
            m["ownerReferences"] = [{
                "apiVersion": api, "blockOwnerDeletion": True, "controller": True, "kind": okind,
                "name": oname, "uid": self.uid(okind, ns, oname)}]
        return m

    def node(self, name):
        return next(n for n in self.nodes if n["name"] == name)

    def workloads(self, kind):
        """Each workload of a kind once, with its pods, in name order."""
        found = {}
        for p in self.pods:
            if p["kind"] == kind:
                found.setdefault((p["ns"], p["owner"]), []).append(p)
        return [(ns, name, pods, APPS[self.scenario][ns, name])
                for (ns, name), pods in sorted(found.items())]

    # -- pieces -----------------------------------------------------------
    def containers(self, name, a):
        c = {"image": a["image"], "imagePullPolicy": "IfNotPresent", "name": name, "resources": {},
             "terminationMessagePath": "/dev/termination-log", "terminationMessagePolicy": "File"}
        if a["command"]:
            c["command"] = a["command"]
        if a["ports"]:
            c["ports"] = [{"containerPort": port, "name": n, "protocol": proto}
                          for n, port, proto in a["ports"]]
        for probe, p in a["probes"].items():
            c[probe] = {"failureThreshold": 3, "periodSeconds": p["period"], "successThreshold": 1,
                        "timeoutSeconds": 1,
                        "httpGet": {"path": p["path"], "port": p["port"], "scheme": "HTTP"}}
        return [c]

    def pod_spec(self, owner, a, restart="Always", hostnet=False):
        s = {"containers": self.containers(owner, a), "dnsPolicy": "ClusterFirst",
             "restartPolicy": restart, "schedulerName": "default-scheduler", "securityContext": {},
             "terminationGracePeriodSeconds": 30}
        if hostnet:
            s["hostNetwork"] = True
            s["dnsPolicy"] = "ClusterFirstWithHostNet"
            s["containers"][0]["ports"] = [dict(p, hostPort=p["containerPort"])
                                           for p in s["containers"][0]["ports"]]
        return s

    def pod_hash(self, pod):
        return pod["name"][len(pod["owner"]) + 1:].split("-")[0]

    def job_name(self, pod):
        return pod["name"].rsplit("-", 1)[0]

    # -- kinds ------------------------------------------------------------
    def namespaces(self):
        return [{"apiVersion": "v1", "kind": "Namespace",
                 "metadata": self.meta("Namespace", None, ns, self.start,
                                       {"kubernetes.io/metadata.name": ns}),
                 "spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"}}
                for ns in NAMESPACES[self.scenario]]

    def node_objects(self):
        out = []
        for n in self.nodes:
            labels = {"beta.kubernetes.io/arch": "amd64", "beta.kubernetes.io/os": "linux",
                      "kubernetes.io/arch": "amd64", "kubernetes.io/hostname": n["name"],
                      "kubernetes.io/os": "linux"}
            if n["name"] == "node-a":
                labels["node-role.kubernetes.io/control-plane"] = ""
            if n["mac"] != "-":
                notes = {"flannel.alpha.coreos.com/backend-data":
                         '{"VNI":1,"VtepMAC":"%s"}' % n["mac"],
                         "flannel.alpha.coreos.com/backend-type": "vxlan",
                         "flannel.alpha.coreos.com/kube-subnet-manager": "true",
                         "flannel.alpha.coreos.com/public-ip": n["v4"]}
            else:
                notes = {"projectcalico.org/IPv4Address": n["v4"] + "/24",
                         "projectcalico.org/IPv6Address": n["v6"] + "/64"}
            addresses = [{"address": n["v4"], "type": "InternalIP"}]
            cidrs = [n["cidr4"]]
            if n["v6"] != "-":
                addresses.append({"address": n["v6"], "type": "InternalIP"})
                cidrs.append(n["cidr6"])
            addresses.append({"address": n["name"], "type": "Hostname"})
            out.append({
                "apiVersion": "v1", "kind": "Node",
                "metadata": self.meta("Node", None, n["name"], n["created"], labels, annotations=notes),
                "spec": {"podCIDR": n["cidr4"], "podCIDRs": cidrs},
                "status": {
                    "addresses": addresses,
                    "conditions": [{"lastHeartbeatTime": n["created"],
                                    "lastTransitionTime": n["created"],
                                    "message": "kubelet is posting ready status",
                                    "reason": "KubeletReady", "status": "True", "type": "Ready"}],
                    "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
                    "nodeInfo": {"architecture": "amd64", "kubeletVersion": "v1.29.6",
                                 "operatingSystem": "linux"}}})
        return out

    def pod_objects(self):
        out = []
        for p in sorted(self.pods, key=lambda p: (p["ns"], p["name"])):
            a = APPS[self.scenario][p["ns"], p["owner"]]
            labels, notes = dict(a["labels"]), {}
            if p["kind"] == "Deployment":
                labels["pod-template-hash"] = self.pod_hash(p)
                owner = ("apps/v1", "ReplicaSet", p["owner"] + "-" + self.pod_hash(p))
            elif p["kind"] == "StatefulSet":
                ordinal = p["name"].rsplit("-", 1)[1]
                labels.update({"apps.kubernetes.io/pod-index": ordinal,
                               "controller-revision-hash": p["owner"] + "-7d9c5b6f48",
                               "statefulset.kubernetes.io/pod-name": p["name"]})
                owner = ("apps/v1", "StatefulSet", p["owner"])
            elif p["kind"] == "DaemonSet":
                labels.update({"controller-revision-hash": "5f8c79d6b4", "pod-template-generation": "1"})
                owner = ("apps/v1", "DaemonSet", p["owner"])
            else:  # Job, CronJob
                job = self.job_name(p)
                uid = self.uid("Job", p["ns"], job)
                labels.update({"batch.kubernetes.io/controller-uid": uid,
                               "batch.kubernetes.io/job-name": job,
                               "controller-uid": uid, "job-name": job})
                owner = ("batch/v1", "Job", job)
            if self.scenario == "ledger" and not p["hostnet"]:
                # Calico empties these once a pod has ended and its address is free again
                notes = {"cni.projectcalico.org/podIP": "", "cni.projectcalico.org/podIPs": ""}
                if not p["finished"]:
                    cidr = [ip + ("/128" if ":" in ip else "/32") for ip in p["ips"]]
                    notes = {"cni.projectcalico.org/podIP": cidr[0],
                             "cni.projectcalico.org/podIPs": ",".join(cidr)}
            m = self.meta("Pod", p["ns"], p["name"], p["created"], labels, owner, notes)
            if p["kind"] != "StatefulSet" and not p["hostnet"]:
                m["generateName"] = p["name"].rsplit("-", 1)[0] + "-"
            node = self.node(p["node"])
            spec = self.pod_spec(p["owner"], a, "Never" if p["finished"] else "Always", p["hostnet"])
            spec["nodeName"] = p["node"]
            spec["serviceAccountName"] = "default"
            done = p["finished"]
            ready = {"lastProbeTime": None, "lastTransitionTime": done or p["started"],
                     "status": "False" if done else "True", "type": "Ready"}
            if done:
                ready["reason"] = "PodCompleted"
            cid = "containerd://" + hashlib.sha256(m["uid"].encode()).hexdigest()
            state = ({"terminated": {"containerID": cid, "exitCode": 0, "finishedAt": done,
                                     "reason": "Completed", "startedAt": p["started"]}}
                     if done else {"running": {"startedAt": p["started"]}})
            status = {
                "phase": "Succeeded" if done else "Running",
                "conditions": [
                    {"lastProbeTime": None, "lastTransitionTime": p["created"], "status": "True",
                     "type": "PodScheduled"},
                    {"lastProbeTime": None, "lastTransitionTime": p["created"], "status": "True",
                     "type": "Initialized", **({"reason": "PodCompleted"} if done else {})},
                    dict(ready, type="ContainersReady"), ready],
                "containerStatuses": [{
                    "containerID": cid, "image": a["image"], "lastState": {}, "name": p["owner"],
                    "ready": not done, "restartCount": 0, "started": not done, "state": state}],
                "hostIP": node["v4"],
                "hostIPs": [{"ip": ip} for ip in (node["v4"], node["v6"]) if ip != "-"],
                "podIP": p["ips"][0], "podIPs": [{"ip": ip} for ip in p["ips"]],
                "qosClass": "BestEffort", "startTime": p["created"]}
            out.append({"apiVersion": "v1", "kind": "Pod", "metadata": m, "spec": spec,
                        "status": status})
        return out

    def services(self):
        def one(ns, name, ips, selector, ports, labels):
            families = ["IPv6" if ":" in ip else "IPv4" for ip in ips]
            spec = {"clusterIP": ips[0], "clusterIPs": ips, "internalTrafficPolicy": "Cluster",
                    "ipFamilies": families,
                    "ipFamilyPolicy": "PreferDualStack" if len(ips) > 1 else "SingleStack",
                    "ports": [{"name": n, "port": port, "protocol": proto, "targetPort": target}
                              for n, port, target, proto in ports],
                    "sessionAffinity": "None", "type": "ClusterIP"}
            if selector:
                spec["selector"] = selector
            return {"apiVersion": "v1", "kind": "Service",
                    "metadata": self.meta("Service", ns, name, self.start, labels), "spec": spec,
                    "status": {"loadBalancer": {}}}

        out = [one("default", "kubernetes", [KUBERNETES_IP[self.scenario]], None,
                   [("https", 443, 6443, "TCP")],
                   {"component": "apiserver", "provider": "kubernetes"})]
        for ns, name, ips, selector, ports in SERVICES[self.scenario]:
            out.append(one(ns, name, ips, selector, ports, selector))
        return sorted(out, key=lambda s: (s["metadata"]["namespace"], s["metadata"]["name"]))

    def endpointslices(self):
        apiserver = self.node("node-a")["v4"]
        out = [{"addressType": "IPv4", "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
                "endpoints": [{"addresses": [apiserver], "conditions": {"ready": True}}],
                "metadata": self.meta("EndpointSlice", "default", "kubernetes", self.start,
                                      {"kubernetes.io/service-name": "kubernetes"}),
                "ports": [{"name": "https", "port": 6443, "protocol": "TCP"}]}]
        for ns, name, ips, selector, ports in SERVICES[self.scenario]:
            for ip in ips:
                v6 = ":" in ip
                pods = [p for p in self.pods
                        if p["ns"] == ns and not p["finished"] and not p["hostnet"]
                        and selector.items() <= APPS[self.scenario][ns, p["owner"]]["labels"].items()]
                named = {n: port for n, port, _ in
                         APPS[self.scenario][ns, pods[0]["owner"]]["ports"]}
                digest = hashlib.md5((name + ip).encode()).digest()
                slice_name = name + "-" + "".join(SUFFIX[b % len(SUFFIX)] for b in digest[:5])
                out.append({
                    "addressType": "IPv6" if v6 else "IPv4",
                    "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
                    "endpoints": [{
                        "addresses": [next(a for a in p["ips"] if (":" in a) == v6)],
                        "conditions": {"ready": True, "serving": True, "terminating": False},
                        "nodeName": p["node"],
                        "targetRef": {"kind": "Pod", "name": p["name"], "namespace": ns,
                                      "uid": self.uid("Pod", ns, p["name"])}} for p in pods],
                    "metadata": dict(
                        self.meta("EndpointSlice", ns, slice_name, max(p["started"] for p in pods), {
                            **selector,
                            "endpointslice.kubernetes.io/managed-by":
                                "endpointslice-controller.k8s.io",
                            "kubernetes.io/service-name": name},
                            ("v1", "Service", name)), generateName=name + "-"),
                    "ports": [{"name": n, "port": named.get(target, target), "protocol": proto}
                              for n, _, target, proto in ports]})
        return sorted(out, key=lambda s: (s["metadata"]["namespace"], s["metadata"]["name"]))

    def deployments(self):
        out = []
        for ns, name, pods, a in self.workloads("Deployment"):
            count = len(pods)
            created = pods[0]["owner_created"]
            out.append({
                "apiVersion": "apps/v1", "kind": "Deployment",
                "metadata": self.meta("Deployment", ns, name, created, a["labels"],
                                      annotations={"deployment.kubernetes.io/revision": "1"},
                                      generation=1),
                "spec": {
                    "progressDeadlineSeconds": 600, "replicas": count, "revisionHistoryLimit": 10,
                    "selector": {"matchLabels": self.selector(a)},
                    "strategy": {"rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"},
                                 "type": "RollingUpdate"},
                    "template": {"metadata": {"creationTimestamp": None, "labels": a["labels"]},
                                 "spec": self.pod_spec(name, a)}},
                "status": {"availableReplicas": count, "observedGeneration": 1,
                           "readyReplicas": count, "replicas": count, "updatedReplicas": count}})
        return out

    def selector(self, a):
        return {k: v for k, v in a["labels"].items() if k != "app.kubernetes.io/part-of"}

    def replicasets(self):
        out = []
        for ns, name, pods, a in self.workloads("Deployment"):
            h = self.pod_hash(pods[0])
            labels = dict(a["labels"], **{"pod-template-hash": h})
            count = len(pods)
            out.append({
                "apiVersion": "apps/v1", "kind": "ReplicaSet",
                "metadata": self.meta("ReplicaSet", ns, name + "-" + h, pods[0]["owner_created"],
                                      labels, ("apps/v1", "Deployment", name),
                                      {"deployment.kubernetes.io/desired-replicas": str(count),
                                       "deployment.kubernetes.io/revision": "1"}, 1),
                "spec": {"replicas": count,
                         "selector": {"matchLabels": dict(self.selector(a), **{"pod-template-hash": h})},
                         "template": {"metadata": {"creationTimestamp": None, "labels": labels},
                                      "spec": self.pod_spec(name, a)}},
                "status": {"availableReplicas": count, "fullyLabeledReplicas": count,
                           "observedGeneration": 1, "readyReplicas": count, "replicas": count}})
        return out

    def statefulsets(self):
        out = []
        for ns, name, pods, a in self.workloads("StatefulSet"):
            count = len(pods)
            out.append({
                "apiVersion": "apps/v1", "kind": "StatefulSet",
                "metadata": self.meta("StatefulSet", ns, name, pods[0]["owner_created"], a["labels"],
                                      generation=1),
                "spec": {"podManagementPolicy": "OrderedReady", "replicas": count,
                         "selector": {"matchLabels": self.selector(a)}, "serviceName": name,
                         "template": {"metadata": {"creationTimestamp": None, "labels": a["labels"]},
                                      "spec": self.pod_spec(name, a)},
                         "updateStrategy": {"rollingUpdate": {"partition": 0},
                                            "type": "RollingUpdate"}},
                "status": {"availableReplicas": count, "currentReplicas": count,
                           "observedGeneration": 1, "readyReplicas": count, "replicas": count}})
        return out

    def daemonsets(self):
        out = []
        for ns, name, pods, a in self.workloads("DaemonSet"):
            count = len(pods)
            out.append({
                "apiVersion": "apps/v1", "kind": "DaemonSet",
                "metadata": self.meta("DaemonSet", ns, name, pods[0]["owner_created"], a["labels"],
                                      annotations={"deprecated.daemonset.template.generation": "1"},
                                      generation=1),
                "spec": {"selector": {"matchLabels": self.selector(a)},
                         "template": {"metadata": {"creationTimestamp": None, "labels": a["labels"]},
                                      "spec": self.pod_spec(name, a, hostnet=pods[0]["hostnet"])},
                         "updateStrategy": {"type": "RollingUpdate"}},
                "status": {"currentNumberScheduled": count, "desiredNumberScheduled": count,
                           "numberAvailable": count, "numberMisscheduled": 0, "numberReady": count,
                           "observedGeneration": 1}})
        return out

    def jobs(self):
        out = []
        for kind in ("CronJob", "Job"):
            for ns, name, pods, a in self.workloads(kind):
                for p in pods:
                    job = self.job_name(p)
                    uid = self.uid("Job", ns, job)
                    labels = dict(a["labels"], **{
                        "batch.kubernetes.io/controller-uid": uid,
                        "batch.kubernetes.io/job-name": job,
                        "controller-uid": uid, "job-name": job})
                    owner = ("batch/v1", "CronJob", name) if kind == "CronJob" else None
                    out.append({
                        "apiVersion": "batch/v1", "kind": "Job",
                        "metadata": self.meta("Job", ns, job, p["created"], labels, owner,
                                              generation=1),
                        "spec": {"backoffLimit": 2, "completionMode": "NonIndexed", "completions": 1,
                                 "parallelism": 1, "suspend": False,
                                 "selector": {"matchLabels": {
                                     "batch.kubernetes.io/controller-uid": uid}},
                                 "template": {"metadata": {"creationTimestamp": None,
                                                           "labels": labels},
                                              "spec": self.pod_spec(name, a, "Never")}},
                        "status": {"completionTime": p["finished"], "ready": 0,
                                   "startTime": p["created"], "succeeded": 1,
                                   "conditions": [{"lastProbeTime": p["finished"],
                                                   "lastTransitionTime": p["finished"],
                                                   "status": "True", "type": "Complete"}]}})
        return out

    def cronjobs(self):
        out = []
        for ns, name, pods, a in self.workloads("CronJob"):
            out.append({
                "apiVersion": "batch/v1", "kind": "CronJob",
                "metadata": self.meta("CronJob", ns, name, pods[0]["owner_created"], a["labels"],
                                      generation=1),
                "spec": {"concurrencyPolicy": "Forbid", "failedJobsHistoryLimit": 1,
                         "schedule": "* * * * *", "successfulJobsHistoryLimit": 3, "suspend": False,
                         "jobTemplate": {
                             "metadata": {"creationTimestamp": None},
                             "spec": {"backoffLimit": 2, "template": {
                                 "metadata": {"creationTimestamp": None, "labels": a["labels"]},
                                 "spec": self.pod_spec(name, a, "Never")}}}},
                "status": {"lastScheduleTime": pods[0]["created"],
                           "lastSuccessfulTime": pods[0]["finished"]}})
        return out

    def items(self):
        return (self.namespaces() + self.node_objects() + self.pod_objects() + self.services()
                + self.endpointslices() + self.deployments() + self.replicasets()
                + self.statefulsets() + self.daemonsets() + self.jobs() + self.cronjobs())


class KubectlDumper(yaml.SafeDumper):
    """Quotes like kubectl: double quotes, only where a plain scalar is not a string."""

    def ignore_aliases(self, data):
        return True


def represent_str(dumper, value):
    plain = dumper.resolve(yaml.ScalarNode, value, (True, False)) == "tag:yaml.org,2002:str"
    if value.startswith("{") or ": " in value:
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style="'")
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=None if plain and value else '"')


KubectlDumper.add_representer(str, represent_str)


def main():
    scenario, facts = sys.argv[1:]
    with open(facts, encoding="utf-8") as f:
        dump = Dump(scenario, f)
    doc = {"apiVersion": "v1", "kind": "List", "items": dump.items(),
           "metadata": {"resourceVersion": ""}}
    sys.stdout.write(yaml.dump(doc, Dumper=KubectlDumper, default_flow_style=False, width=1000,
                               allow_unicode=True))


if __name__ == "__main__":
    main()
