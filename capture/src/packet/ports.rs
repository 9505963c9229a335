//! The UDP ports behind which tunnels are looked for.

use std::collections::BTreeSet;

/// UDP ports of tunnels whose port is configurable in the network plugins that use them. Those of other tunnels are
/// fixed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TunnelPorts {
    /// VXLAN: 4789 (RFC 7348), and 8472, which Linux, flannel and Cilium use.
    pub vxlan: BTreeSet<u16>,
    /// Geneve: 6081 (RFC 8926).
    pub geneve: BTreeSet<u16>,
}

impl Default for TunnelPorts {
    fn default() -> TunnelPorts {
        TunnelPorts { vxlan: VXLAN.into(), geneve: GENEVE.into() }
    }
}

const VXLAN: [u16; 2] = [4789, 8472];
const GENEVE: [u16; 1] = [6081];

/// VXLAN-GPE (draft-ietf-nvo3-vxlan-gpe).
pub(super) const VXLAN_GPE: u16 = 4790;
/// GTP-U (3GPP TS 29.281 §4.4.2).
pub(super) const GTP_U: u16 = 2152;
/// Teredo servers (RFC 4380 §2.7).
pub(super) const TEREDO: u16 = 3544;
/// MPLS in UDP (RFC 7510).
pub(super) const MPLS: u16 = 6635;
/// L2TP (RFC 2661 §8.1).
pub(super) const L2TP: u16 = 1701;
/// LISP data (RFC 9300 §5).
pub(super) const LISP: u16 = 4341;
/// AYIYA (draft-massar-v6ops-ayiya).
pub(super) const AYIYA: u16 = 5072;
/// TZSP, which mirrors frames.
pub(super) const TZSP: u16 = 37008;
/// ESP in UDP, and IKE (RFC 3948).
pub(super) const IPSEC_NAT: u16 = 4500;

const FIXED: [u16; 9] = [VXLAN_GPE, GTP_U, TEREDO, MPLS, L2TP, LISP, AYIYA, TZSP, IPSEC_NAT];

/// [`TunnelPorts`] and the fixed ones, for a quick look.
#[derive(Debug)]
pub(crate) struct Ports {
    vxlan: PortSet,
    geneve: PortSet,
    /// All of them, the fixed ones included.
    any: PortSet,
}

impl Ports {
    /// Those of [`TunnelPorts::default`].
    pub(crate) const DEFAULT: &'static Ports = &{
        let vxlan = PortSet::EMPTY.with(&VXLAN);
        let geneve = PortSet::EMPTY.with(&GENEVE);
        Ports { vxlan, geneve, any: PortSet::EMPTY.with(&VXLAN).with(&GENEVE).with(&FIXED) }
    };

    /// A table of some ports.
    pub(crate) fn new(ports: &TunnelPorts) -> Ports {
        let vxlan: Vec<u16> = ports.vxlan.iter().copied().collect();
        let geneve: Vec<u16> = ports.geneve.iter().copied().collect();
        Ports {
            vxlan: PortSet::EMPTY.with(&vxlan),
            geneve: PortSet::EMPTY.with(&geneve),
            any: PortSet::EMPTY.with(&vxlan).with(&geneve).with(&FIXED),
        }
    }

    /// Whether datagrams to the port may be VXLAN.
    pub(super) fn vxlan(&self, port: u16) -> bool {
        self.vxlan.contains(port)
    }

    /// Whether datagrams to the port may be Geneve.
    pub(super) fn geneve(&self, port: u16) -> bool {
        self.geneve.contains(port)
    }

    /// Whether a datagram between the ports may be a tunnel's.
    #[inline]
    pub(super) fn any(&self, source: u16, destination: u16) -> bool {
        self.any.contains(source) || self.any.contains(destination)
    }
}

/// A bit per port.
#[derive(Debug)]
struct PortSet([u64; 1024]);

impl PortSet {
    const EMPTY: PortSet = PortSet([0; 1024]);

    const fn with(mut self, ports: &[u16]) -> PortSet {
        let mut index = 0;
        while index < ports.len() {
            let port = ports[index];
            self.0[(port >> 6) as usize] |= 1 << (port & 63);
            index += 1;
        }
        self
    }

    #[inline]
    fn contains(&self, port: u16) -> bool {
        self.0[usize::from(port >> 6)] >> (port & 63) & 1 == 1
    }
}
