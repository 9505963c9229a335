//! What is known of network plugins and meshes: the one place. Each row names its source, the project's documentation or
//! a public issue (`owner/repo#N`); what no source says is not here.

use super::Limit;

/// A network plugin, or a part of one.
pub(super) struct Plugin {
    pub(super) name: &'static str,
    /// Names of its DaemonSets.
    pub(super) daemons: &'static [&'static str],
    /// How the repositories of its images end, without registry and tag.
    pub(super) images: &'static [&'static str],
    /// How annotations that it writes on nodes begin.
    pub(super) annotations: &'static [&'static str],
    /// Whether it enforces NetworkPolicies.
    pub(super) enforces: Enforcement,
    /// Rows that are a part of this one: they are not named beside it.
    pub(super) covers: &'static [&'static str],
    /// What it cannot do.
    pub(super) limits: &'static [Lack],
    pub(super) source: &'static str,
}

/// How it is told whether a plugin enforces NetworkPolicies.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Enforcement {
    Always,
    /// It only connects pods; something else beside it may enforce.
    Never,
    /// It depends on settings that are in no object read here.
    Unknown,
    /// By the image's tag: a date from the first to the second of these is not known, later ones enforce.
    Dated {
        without: u32,
        with: u32,
        since: (u32, u32),
    },
    /// By a container of this name or image that is switched on by a flag.
    Agent {
        container: &'static str,
        image: &'static str,
        flag: &'static str,
    },
    /// Unless this flag or text is given.
    Unless(&'static str),
    /// It adds interfaces; policies are another plugin's.
    Delegated,
}

/// Something a plugin cannot do.
pub(super) struct Lack {
    pub(super) limit: Limit,
    pub(super) when: When,
    /// What happens instead.
    pub(super) effect: &'static str,
    pub(super) source: &'static str,
}

/// In which versions and settings.
pub(super) enum When {
    Always,
    /// Before this version, by the image's tag; nothing is said where that has none.
    Before(u32, u32),
    /// Unless a setting is made, which is in no object read here.
    Unless(&'static str),
}

const CILIUM_LACKS: &[Lack] = &[
    Lack {
        limit: Limit::EndPort,
        when: When::Before(1, 16),
        effect: "only the first port of the range is allowed, or none",
        source: "cilium/cilium#28684",
    },
    Lack {
        limit: Limit::BlockPods,
        when: When::Always,
        effect: "ipBlock does not match addresses of pods: select them by label",
        source: "cilium/cilium#9209",
    },
    Lack {
        limit: Limit::BlockNodes,
        when: When::Unless("policy-cidr-match-mode has nodes"),
        effect: "ipBlock does not match addresses of nodes",
        source: "cilium/cilium#12277",
    },
    Lack {
        limit: Limit::Sctp,
        when: When::Unless("sctp.enabled is true"),
        effect: "SCTP is dropped",
        source: "docs.cilium.io/en/stable/configuration/sctp",
    },
];

const KUBE_ROUTER_LACKS: &[Lack] = &[Lack {
    limit: Limit::Sctp,
    when: When::Always,
    effect: "rules for SCTP are not supported",
    source: "cloudnativelabs/kube-router#1019",
}];

/// The network plugins, by name.
pub(super) const PLUGINS: &[Plugin] = &[
    Plugin {
        name: "AWS VPC CNI",
        daemons: &["aws-node"],
        images: &["amazon-k8s-cni"],
        annotations: &[],
        enforces: Enforcement::Agent {
            container: "aws-eks-nodeagent",
            image: "aws-network-policy-agent",
            flag: "--enable-network-policy",
        },
        covers: &[],
        limits: &[Lack {
            limit: Limit::NamedPort,
            when: When::Always,
            effect: "named ports of ingress rules are looked up on the wrong side",
            source: "aws/aws-network-policy-agent#149",
        }],
        source: "docs.aws.amazon.com/eks/latest/userguide/cni-network-policy-configure.html",
    },
    Plugin {
        name: "Antrea",
        daemons: &["antrea-agent"],
        images: &["antrea/antrea-ubuntu", "antrea/antrea-agent-ubuntu", "antrea/antrea-agent-ubi"],
        annotations: &["node.antrea.io/"],
        enforces: Enforcement::Always,
        covers: &[],
        limits: &[],
        source: "antrea.io/docs/main/docs/antrea-network-policy",
    },
    Plugin {
        name: "Azure CNI",
        daemons: &["azure-cns"],
        images: &["azure-cns"],
        annotations: &[],
        enforces: Enforcement::Never,
        covers: &[],
        limits: &[],
        source: "learn.microsoft.com/azure/aks/use-network-policies",
    },
    Plugin {
        name: "Azure NPM",
        daemons: &["azure-npm"],
        images: &["azure-npm"],
        annotations: &[],
        enforces: Enforcement::Always,
        covers: &[],
        limits: &[Lack {
            limit: Limit::EndPort,
            when: When::Always,
            effect: "only the first port of the range is allowed",
            source: "Azure/AKS#2857",
        }],
        source: "learn.microsoft.com/azure/aks/use-network-policies",
    },
    Plugin {
        name: "Calico",
        daemons: &["calico-node"],
        images: &["calico/node", "hardened-calico"],
        annotations: &["projectcalico.org/"],
        enforces: Enforcement::Always,
        covers: &[],
        limits: &[],
        source: "docs.tigera.io/calico/latest/network-policy",
    },
    Plugin {
        name: "Canal",
        daemons: &["canal", "rke2-canal"],
        images: &[],
        annotations: &[],
        enforces: Enforcement::Always,
        covers: &["Calico", "flannel"],
        limits: &[],
        source: "docs.tigera.io/calico/latest/getting-started/kubernetes/flannel",
    },
    Plugin {
        name: "Cilium",
        daemons: &["cilium"],
        images: &["cilium/cilium", "hardened-cilium"],
        annotations: &["network.cilium.io/", "io.cilium.network."],
        enforces: Enforcement::Always,
        covers: &[],
        limits: CILIUM_LACKS,
        source: "docs.cilium.io/en/stable/network/kubernetes/policy",
    },
    Plugin {
        name: "Cisco ACI",
        daemons: &["aci-containers-host"],
        images: &["aci-containers-host"],
        annotations: &[],
        enforces: Enforcement::Always,
        covers: &[],
        limits: &[],
        source: "noironetworks/aci-containers#1653",
    },
    Plugin {
        name: "GKE Dataplane V2",
        daemons: &["anetd"],
        images: &[],
        annotations: &[],
        enforces: Enforcement::Always,
        covers: &["Cilium"],
        limits: &[Lack {
            limit: Limit::BlockPods,
            when: When::Always,
            effect: "ipBlock does not match addresses of pods: select them by label",
            source: "cilium/cilium#9209",
        }],
        source: "cloud.google.com/kubernetes-engine/docs/concepts/dataplane-v2",
    },
    Plugin {
        name: "Kube-OVN",
        daemons: &["kube-ovn-cni"],
        images: &["kubeovn/kube-ovn"],
        annotations: &[],
        enforces: Enforcement::Always,
        covers: &[],
        limits: &[],
        source: "kubeovn.github.io/docs",
    },
    Plugin {
        name: "Multus",
        daemons: &["kube-multus-ds", "multus"],
        images: &["k8snetworkplumbingwg/multus-cni"],
        annotations: &[],
        enforces: Enforcement::Delegated,
        covers: &[],
        limits: &[],
        source: "k8snetworkplumbingwg/multus-cni docs/how-to-use.md",
    },
    Plugin {
        name: "OVN-Kubernetes",
        daemons: &["ovnkube-node"],
        images: &["ovn-kubernetes/ovn-kube-ubuntu", "ovn-kubernetes/ovn-kube-fedora"],
        annotations: &["k8s.ovn.org/node-"],
        enforces: Enforcement::Always,
        covers: &[],
        limits: &[],
        source: "ovn-kubernetes.io/features/network-security-controls/network-policy",
    },
    Plugin {
        name: "OpenShift SDN",
        daemons: &["sdn"],
        images: &[],
        annotations: &[],
        // Only in the mode NetworkPolicy, which is the default; the mode is in the network's own object.
        enforces: Enforcement::Unknown,
        covers: &[],
        limits: &[],
        source: "docs.openshift.com/container-platform/4.14/networking/openshift_sdn/about-openshift-sdn.html",
    },
    Plugin {
        name: "Terway",
        daemons: &["terway", "terway-eni", "terway-eniip"],
        images: &["acs/terway"],
        annotations: &[],
        enforces: Enforcement::Unknown,
        covers: &[],
        limits: &[Lack {
            limit: Limit::BlockPods,
            when: When::Unless("the data path is not eBPF"),
            effect: "ipBlock does not match addresses of pods: select them by label",
            source: "AliyunContainerService/terway#904",
        }],
        source: "github.com/AliyunContainerService/terway",
    },
    Plugin {
        name: "Weave Net",
        daemons: &["weave-net"],
        images: &["weaveworks/weave-kube", "weaveworks/weave-npc"],
        annotations: &[],
        enforces: Enforcement::Always,
        covers: &[],
        limits: &[Lack {
            limit: Limit::NamedPort,
            when: When::Always,
            effect: "policies with named ports are rejected",
            source: "weaveworks/weave#3032",
        }],
        source: "github.com/weaveworks/weave",
    },
    Plugin {
        name: "flannel",
        daemons: &["kube-flannel-ds", "kube-flannel", "kube-flannel-ds-amd64"],
        images: &["flannel-io/flannel", "flannel/flannel", "flannelcni/flannel", "coreos/flannel"],
        annotations: &["flannel.alpha.coreos.com/"],
        enforces: Enforcement::Never,
        covers: &[],
        limits: &[],
        source: "flannel-io/flannel#2183",
    },
    Plugin {
        name: "k3s network policy controller",
        daemons: &[],
        images: &[],
        annotations: &["k3s.io/"],
        enforces: Enforcement::Unless("--disable-network-policy"),
        covers: &[],
        limits: KUBE_ROUTER_LACKS,
        source: "docs.k3s.io/networking/networking-services",
    },
    Plugin {
        name: "kindnet",
        daemons: &["kindnet"],
        images: &["kindest/kindnetd", "aojea/kindnetd"],
        annotations: &[],
        // kind 0.23 had the image of 2024-05-13, kind 0.24 that of 2024-08-13.
        enforces: Enforcement::Dated { without: 20_240_513, with: 20_240_813, since: (1, 3) },
        covers: &[],
        limits: &[],
        source: "kubernetes-sigs/kind#842, kubernetes/minikube#19871",
    },
    Plugin {
        name: "kube-network-policies",
        daemons: &["kube-network-policies"],
        images: &["networking/kube-network-policies", "kube-network-policies"],
        annotations: &[],
        enforces: Enforcement::Always,
        covers: &[],
        limits: &[],
        source: "github.com/kubernetes-sigs/kube-network-policies",
    },
    Plugin {
        name: "kube-router",
        daemons: &["kube-router"],
        images: &["cloudnativelabs/kube-router"],
        annotations: &[],
        enforces: Enforcement::Unless("--run-firewall=false"),
        covers: &[],
        limits: KUBE_ROUTER_LACKS,
        source: "www.kube-router.io/docs/user-guide",
    },
];

/// A service mesh, or one way of running it.
pub(super) struct Mesh {
    pub(super) name: &'static str,
    /// Names of the containers that it puts into pods.
    pub(super) containers: &'static [&'static str],
    /// Names of workloads that are a part of it.
    pub(super) workloads: &'static [&'static str],
    /// Labels of a pod, or else of its namespace, that put the pod into it, and values that keep it out.
    pub(super) labels: &'static [(&'static str, &'static str, &'static str)],
    /// Annotations of pods that are in it.
    pub(super) annotations: &'static [(&'static str, &'static str)],
    /// The port that connections between its pods go to instead of the real one, and which of them.
    pub(super) tunnel: Option<(u16, &'static str)>,
    /// Ports inside the pod that no policy ever sees.
    pub(super) inside: &'static [u16],
    pub(super) source: &'static str,
}

/// The meshes, by name.
pub(super) const MESHES: &[Mesh] = &[
    Mesh {
        name: "Consul",
        containers: &["consul-dataplane"],
        workloads: &["consul-connect-injector"],
        labels: &[],
        annotations: &[("consul.hashicorp.com/connect-inject-status", "injected")],
        tunnel: Some((20_000, "every connection between pods of the mesh")),
        inside: &[15_001],
        source: "developer.hashicorp.com/consul/docs/k8s/connect/transparent-proxy",
    },
    Mesh {
        name: "Istio",
        containers: &["istio-proxy"],
        workloads: &["istiod"],
        labels: &[],
        annotations: &[],
        // Between sidecars the real port is on the wire.
        tunnel: None,
        inside: &[15_001, 15_006],
        source: "istio.io/latest/docs/ops/deployment/application-requirements",
    },
    Mesh {
        name: "Istio ambient",
        containers: &[],
        workloads: &["ztunnel"],
        labels: &[("istio.io/dataplane-mode", "ambient", "none")],
        annotations: &[("ambient.istio.io/redirection", "enabled")],
        tunnel: Some((15_008, "every connection between pods of the mesh")),
        inside: &[15_001, 15_006],
        source: "istio.io/latest/docs/ambient/usage/networkpolicy",
    },
    Mesh {
        name: "Kuma",
        containers: &["kuma-sidecar"],
        workloads: &["kuma-control-plane"],
        labels: &[],
        annotations: &[],
        tunnel: None,
        inside: &[15_001, 15_006],
        source: "kuma.io/docs/latest/networking/transparent-proxying",
    },
    Mesh {
        name: "Linkerd",
        containers: &["linkerd-proxy"],
        workloads: &["linkerd-destination"],
        labels: &[],
        annotations: &[],
        tunnel: Some((4143, "connections to opaque ports, and in newer versions all between pods of the mesh")),
        inside: &[4140],
        source: "linkerd/linkerd2#12382, linkerd/linkerd2#15246",
    },
];
