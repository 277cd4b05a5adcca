//! What the kernel's nf_tables hold of ours, asked of it over netlink(7), and removed: much quicker than to run
//! nft(8) and read its JSON, and as true; and what iptables-nft has there. Only for networks of this host.

use breakit::exit::{Error, Result};
use nix::errno::Errno;
use nix::sys::socket::SockProtocol;

use crate::privilege::needs_root;
use crate::rules::{Family, PREFIX};
use breakit::netlink::{Ask, NLM_F_NONREC, Order, ask, attribute, attributes, find, order};
use breakit::nf_tables::{
    BATCH_BEGIN, BATCH_END, CHAIN_NAME, CHAIN_TABLE, DELETE_TABLE, GET_CHAIN, GET_ELEMENTS,
    GET_RULE, GET_TABLE, HEADER, RULE_TABLE, SUBSYSTEM, TABLE_NAME,
};

const LIST_TABLE: u16 = 1;
const LIST_SET: u16 = 2;
const LIST_ELEMENTS: u16 = 3;
const ELEM_FLAGS: u16 = 3;
const INTERVAL_END: u32 = 1;

/// A table of iptables, of one IP version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Whether of IPv4.
    pub ipv4: bool,
    /// Its name.
    pub table: &'static str,
}

/// Whether any table of ours stands in the network that we are in, but for those called `own`.
///
/// # Errors
/// 71 where the kernel does not say.
pub fn any_table_but(own: &str) -> Result<bool> {
    let mut found = false;
    let each = |_: u16, body: &[u8]| {
        let name = find(attributes(body.get(HEADER..).unwrap_or_default()), TABLE_NAME);
        let name = name.map(|name| name.strip_suffix(&[0]).unwrap_or(name)).unwrap_or_default();
        found |= name.starts_with(PREFIX.as_bytes()) && name != own.as_bytes();
    };
    match ask(SockProtocol::NetlinkNetFilter, GET_TABLE, Ask::All, &[0; HEADER], each) {
        // Nobody who may use them here: no tables either.
        Ok(()) | Err(Errno::EPERM) => Ok(found),
        Err(errno) if has_no_tables(errno) => Ok(found),
        Err(errno) => Err(Error::io("ask the kernel for its tables", &errno.into())),
    }
}

/// Whether the kernel says that it has no nf_tables, or not of that family.
fn has_no_tables(errno: Errno) -> bool {
    matches!(
        errno,
        Errno::EPROTONOSUPPORT | Errno::EOPNOTSUPP | Errno::EAFNOSUPPORT | Errno::EINVAL
    )
}

/// Removes a table, and is content where there is none.
///
/// # Errors
/// 77 where we may not, 71 where the kernel refuses.
pub fn remove(family: Family, table: &str) -> Result<()> {
    match delete(number(family), table, 0) {
        Ok(()) | Err(Errno::ENOENT) => Ok(()),
        Err(errno) if has_no_tables(errno) => Ok(()),
        Err(errno) => Err(refused(table, errno)),
    }
}

/// Removes a table of iptables-nft that nothing is in; lets any other stand.
///
/// # Errors
/// As [`remove`].
pub fn remove_empty(place: Place) -> Result<()> {
    match delete(version(place), place.table, NLM_F_NONREC) {
        Ok(()) | Err(Errno::ENOENT | Errno::EBUSY) => Ok(()),
        Err(errno) => Err(refused(place.table, errno)),
    }
}

fn refused(table: &str, errno: Errno) -> Error {
    match errno {
        Errno::EPERM => needs_root(),
        errno => Error::io(format!("remove the table {table}"), &errno.into()),
    }
}

fn delete(family: u8, table: &str, flags: u16) -> nix::Result<()> {
    let batch = [vec![0, 0], SUBSYSTEM.to_be_bytes().to_vec()].concat();
    let body = [vec![family, 0, 0, 0], attribute(TABLE_NAME, &text(table))].concat();
    let messages = [
        Order { kind: BATCH_BEGIN, flags: 0, body: batch.clone() },
        Order { kind: DELETE_TABLE, flags, body },
        Order { kind: BATCH_END, flags: 0, body: batch },
    ];
    order(SockProtocol::NetlinkNetFilter, &messages, 1)
}

/// The chains of a table of iptables-nft in the network that we are in; `None` where it is not there.
///
/// # Errors
/// 71 where the kernel does not say.
pub fn chains(place: Place) -> Result<Option<Vec<String>>> {
    let wrong = |errno: Errno| Error::io("ask the kernel for its chains", &errno.into());
    let head = vec![version(place), 0, 0, 0];
    let table = [head.clone(), attribute(TABLE_NAME, &text(place.table))].concat();
    match ask(SockProtocol::NetlinkNetFilter, GET_TABLE, Ask::One, &table, |_, _| {}) {
        Ok(()) => {}
        Err(Errno::ENOENT) => return Ok(None),
        // Then iptables-nft will say so itself.
        Err(errno) if has_no_tables(errno) => return Ok(None),
        Err(errno) => return Err(wrong(errno)),
    }
    let mut found = Vec::new();
    let each = |_: u16, body: &[u8]| {
        let word = |kind| {
            let value = find(attributes(body.get(HEADER..).unwrap_or_default()), kind)?;
            Some(String::from_utf8_lossy(value.strip_suffix(&[0]).unwrap_or(value)).into_owned())
        };
        if word(CHAIN_TABLE).is_some_and(|name| name == place.table) {
            found.extend(word(CHAIN_NAME));
        }
    };
    ask(SockProtocol::NetlinkNetFilter, GET_CHAIN, Ask::All, &head, each).map_err(wrong)?;
    Ok(Some(found))
}

/// How many rules the chains of a table have together; 0 where it is not there.
///
/// # Errors
/// 71 where the kernel does not say.
pub fn rules(family: Family, table: &str) -> Result<usize> {
    let mut count = 0;
    // A kernel that cannot choose the table gives the rules of all.
    let each = |_: u16, body: &[u8]| {
        let of = find(attributes(body.get(HEADER..).unwrap_or_default()), RULE_TABLE);
        count += usize::from(of == Some(text(table).as_slice()));
    };
    let body = [vec![number(family), 0, 0, 0], attribute(RULE_TABLE, &text(table))].concat();
    match ask(SockProtocol::NetlinkNetFilter, GET_RULE, Ask::All, &body, each) {
        Ok(()) | Err(Errno::ENOENT) => Ok(count),
        Err(errno) => Err(Error::io("ask the kernel for the rules of a table", &errno.into())),
    }
}

/// How many elements the sets of a table hold that have not expired; 0 where it is not there.
///
/// # Errors
/// 71 where the kernel does not say.
pub fn elements(family: Family, table: &str, sets: &[&str]) -> Result<usize> {
    let mut count = 0;
    for set in sets {
        let body = [
            vec![number(family), 0, 0, 0],
            attribute(LIST_TABLE, &text(table)),
            attribute(LIST_SET, &text(set)),
        ]
        .concat();
        let each = |_: u16, body: &[u8]| {
            let elements = find(attributes(body.get(HEADER..).unwrap_or_default()), LIST_ELEMENTS);
            let all = attributes(elements.unwrap_or_default());
            count += all.filter(|(_, element)| !is_end(element)).count();
        };
        match ask(SockProtocol::NetlinkNetFilter, GET_ELEMENTS, Ask::All, &body, each) {
            Ok(()) | Err(Errno::ENOENT) => {}
            Err(errno) => {
                return Err(Error::io("ask the kernel for the elements of a set", &errno.into()));
            }
        }
    }
    Ok(count)
}

/// The element after the last of an interval.
fn is_end(element: &[u8]) -> bool {
    let flags = find(attributes(element), ELEM_FLAGS);
    let flags = flags.and_then(|flags| Some(u32::from_be_bytes(flags.get(..4)?.try_into().ok()?)));
    flags.is_some_and(|flags| flags & INTERVAL_END != 0)
}

fn text(word: &str) -> Vec<u8> {
    [word.as_bytes(), &[0]].concat()
}

/// The kernel's number of the IP version that a table of iptables is for.
fn version(place: Place) -> u8 {
    if place.ipv4 { 2 } else { 10 }
}

/// The kernel's number.
fn number(family: Family) -> u8 {
    match family {
        Family::Inet => 1,
        Family::Netdev => 5,
        Family::Bridge => 7,
    }
}
