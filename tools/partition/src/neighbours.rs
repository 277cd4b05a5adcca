//! How often the kernel's tables of neighbours were full: all networks of a host share them, and what is sent to a
//! neighbour that has no place there is lost without a cut.

use nix::sys::socket::SockProtocol;

use breakit::netlink::{Ask, ask, attributes, find};

const RTM_GETNEIGHTBL: u16 = 66;
const NDTA_STATS: u16 = 7;
/// The size of struct ndtmsg.
const NDTMSG: usize = 4;
/// Where struct ndt_stats has ndts_table_fulls, behind ten other counters.
const TABLE_FULLS: usize = 10 * 8;

/// The sum over the tables of IPv4 and IPv6 since the kernel's start; 0 where it does not say.
pub fn overflows() -> u64 {
    let mut sum = 0;
    let each = |_: u16, body: &[u8]| {
        let stats = find(attributes(body.get(NDTMSG..).unwrap_or_default()), NDTA_STATS);
        let count =
            stats.and_then(|stats| stats.get(TABLE_FULLS..TABLE_FULLS + 8)?.try_into().ok());
        sum += count.map(u64::from_ne_bytes).unwrap_or_default();
    };
    match ask(SockProtocol::NetlinkRoute, RTM_GETNEIGHTBL, Ask::All, &[0; NDTMSG], each) {
        Ok(()) => sum,
        Err(_) => 0,
    }
}
