//! Which kinds are read from a live cluster: those that `synth::manifest` reads, and no other. Secrets and ConfigMaps
//! are never asked for.

/// One kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Kind {
    /// The API group, empty for the core.
    pub(super) group: &'static str,
    /// The versions that are read, the best first.
    pub(super) versions: &'static [&'static str],
    /// `pods`.
    pub(super) plural: &'static str,
    /// `Pod`.
    pub(super) name: &'static str,
    /// Whether its objects are in namespaces.
    pub(super) namespaced: bool,
    /// How much of its objects is read.
    pub(super) part: Part,
    /// Whether every server has it; others are looked for first.
    pub(super) built_in: bool,
}

/// How much of an object is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// All of it, so many objects a page.
    Whole(u32),
    /// `PartialObjectMetadata`.
    Metadata,
}

/// Objects a page.
const PAGE: u32 = 500;
/// Objects with a schema in them may have a megabyte each.
const LARGE: u32 = 50;

const fn whole(
    group: &'static str,
    version: &'static [&'static str],
    plural: &'static str,
    name: &'static str,
) -> Kind {
    Kind { group, versions: version, plural, name, namespaced: true, part: Part::Whole(PAGE), built_in: true }
}

impl Kind {
    const fn of_cluster(mut self) -> Kind {
        self.namespaced = false;
        self
    }

    const fn optional(mut self) -> Kind {
        self.built_in = false;
        self
    }

    const fn large(mut self) -> Kind {
        self.part = Part::Whole(LARGE);
        self
    }

    const fn metadata(mut self) -> Kind {
        self.part = Part::Metadata;
        self
    }

    /// How RBAC and kubectl call it: `pods`, `deployments.apps`.
    pub(super) fn resource(&self) -> String {
        if self.group.is_empty() { self.plural.to_string() } else { format!("{}.{}", self.plural, self.group) }
    }

    /// The path of its list in a version, of one namespace or of all.
    pub(super) fn path(&self, version: &str, namespace: Option<&str>) -> String {
        let base = match self.group {
            "" => format!("/api/{version}"),
            group => format!("/apis/{group}/{version}"),
        };
        match namespace.filter(|_| self.namespaced) {
            Some(namespace) => format!("{base}/namespaces/{namespace}/{}", self.plural),
            None => format!("{base}/{}", self.plural),
        }
    }
}

const V1: &[&str] = &["v1"];

/// All of them. Of the policies of network plugins only the names are read: they are counted.
pub(super) const KINDS: [Kind; 28] = [
    // Of a Namespace nothing but its labels matters.
    whole("", V1, "namespaces", "Namespace").of_cluster().metadata(),
    whole("", V1, "nodes", "Node").of_cluster(),
    whole("", V1, "pods", "Pod"),
    whole("", V1, "services", "Service"),
    whole("", V1, "replicationcontrollers", "ReplicationController"),
    whole("discovery.k8s.io", V1, "endpointslices", "EndpointSlice"),
    whole("apps", V1, "deployments", "Deployment"),
    whole("apps", V1, "replicasets", "ReplicaSet"),
    whole("apps", V1, "statefulsets", "StatefulSet"),
    whole("apps", V1, "daemonsets", "DaemonSet"),
    whole("batch", V1, "jobs", "Job"),
    whole("batch", V1, "cronjobs", "CronJob"),
    whole("networking.k8s.io", V1, "networkpolicies", "NetworkPolicy"),
    whole("admissionregistration.k8s.io", V1, "validatingwebhookconfigurations", "ValidatingWebhookConfiguration")
        .of_cluster(),
    whole("admissionregistration.k8s.io", V1, "mutatingwebhookconfigurations", "MutatingWebhookConfiguration")
        .of_cluster(),
    whole("apiregistration.k8s.io", V1, "apiservices", "APIService").of_cluster(),
    whole("apiextensions.k8s.io", V1, "customresourcedefinitions", "CustomResourceDefinition").of_cluster().large(),
    whole("policy.networking.k8s.io", &["v1alpha2", "v1beta1"], "clusternetworkpolicies", "ClusterNetworkPolicy")
        .of_cluster()
        .optional(),
    whole("policy.networking.k8s.io", &["v1alpha1"], "adminnetworkpolicies", "AdminNetworkPolicy")
        .of_cluster()
        .optional(),
    whole("policy.networking.k8s.io", &["v1alpha1"], "baselineadminnetworkpolicies", "BaselineAdminNetworkPolicy")
        .of_cluster()
        .optional(),
    whole("monitoring.coreos.com", V1, "servicemonitors", "ServiceMonitor").optional(),
    whole("monitoring.coreos.com", V1, "podmonitors", "PodMonitor").optional(),
    whole("argoproj.io", &["v1alpha1"], "rollouts", "Rollout").optional(),
    whole("crd.projectcalico.org", V1, "networkpolicies", "NetworkPolicy").optional().metadata(),
    whole("crd.projectcalico.org", V1, "globalnetworkpolicies", "GlobalNetworkPolicy")
        .of_cluster()
        .optional()
        .metadata(),
    whole("cilium.io", &["v2"], "ciliumnetworkpolicies", "CiliumNetworkPolicy").optional().metadata(),
    whole("cilium.io", &["v2"], "ciliumclusterwidenetworkpolicies", "CiliumClusterwideNetworkPolicy")
        .of_cluster()
        .optional()
        .metadata(),
    whole("crd.antrea.io", &["v1beta1"], "networkpolicies", "NetworkPolicy").optional().metadata(),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        let [pods, nodes, deployments] =
            ["pods", "nodes", "deployments"].map(|name| *KINDS.iter().find(|kind| kind.plural == name).unwrap());
        for (path, expected) in [
            (pods.path("v1", None), "/api/v1/pods"),
            (pods.path("v1", Some("shop")), "/api/v1/namespaces/shop/pods"),
            (nodes.path("v1", Some("shop")), "/api/v1/nodes"),
            (deployments.path("v1", Some("shop")), "/apis/apps/v1/namespaces/shop/deployments"),
        ] {
            assert_eq!(path, expected);
        }
        assert_eq!(deployments.resource(), "deployments.apps");
        assert!(KINDS.iter().all(|kind| !["secrets", "configmaps"].contains(&kind.plural)));
    }
}
