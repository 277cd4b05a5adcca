//! What the kernel's nf_tables hold of ours, asked of it over netlink(7), and removed: much quicker than to run
//! nft(8) and read its JSON, and as true. Only for networks of this host.

use breakit::exit::{Error, Result};
use nix::errno::Errno;
use nix::sys::socket::SockProtocol;

use crate::netlink::{Ask, ask, attribute, attributes, find, order};
use crate::rules::{Family, PREFIX};

const SUBSYSTEM: u16 = 10 << 8;
const BATCH_BEGIN: u16 = 16;
const BATCH_END: u16 = 17;
const DELTABLE: u16 = SUBSYSTEM | 2;
const GETTABLE: u16 = SUBSYSTEM | 1;
const GETSETELEM: u16 = SUBSYSTEM | 13;
/// The size of struct nfgenmsg.
const NFGEN: usize = 4;
const TABLE_NAME: u16 = 1;
const LIST_TABLE: u16 = 1;
const LIST_SET: u16 = 2;
const LIST_ELEMENTS: u16 = 3;
const ELEM_FLAGS: u16 = 3;
const INTERVAL_END: u32 = 1;

/// Whether any table of ours stands in the network that we are in.
///
/// # Errors
/// 71 where the kernel does not say.
pub fn any_table() -> Result<bool> {
    let mut found = false;
    let each = |_: u16, body: &[u8]| {
        let name = find(attributes(body.get(NFGEN..).unwrap_or_default()), TABLE_NAME);
        found |= name.is_some_and(|name| name.starts_with(PREFIX.as_bytes()));
    };
    match ask(SockProtocol::NetlinkNetFilter, GETTABLE, Ask::All, &[0; NFGEN], each) {
        // No nf_tables, or nobody who may use them here: no tables either.
        Ok(()) | Err(Errno::EOPNOTSUPP | Errno::EINVAL | Errno::EPERM) => Ok(found),
        Err(errno) => Err(Error::io("ask the kernel for its tables", &errno.into())),
    }
}

/// Removes a table, and is content where there is none.
///
/// # Errors
/// 77 where we may not, 71 where the kernel refuses.
pub fn remove(family: Family, table: &str) -> Result<()> {
    let batch = [vec![0, 0], (SUBSYSTEM >> 8).to_be_bytes().to_vec()].concat();
    let body = [vec![number(family), 0, 0, 0], attribute(TABLE_NAME, &text(table))].concat();
    let messages = [(BATCH_BEGIN, batch.clone()), (DELTABLE, body), (BATCH_END, batch)];
    match order(SockProtocol::NetlinkNetFilter, &messages, 1) {
        Ok(()) | Err(Errno::ENOENT) => Ok(()),
        Err(Errno::EPERM) => Err(Error::not_permitted(crate::nft::NEEDS_ROOT)),
        Err(errno) => Err(Error::io(format!("remove the table {table}"), &errno.into())),
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
            let elements = find(attributes(body.get(NFGEN..).unwrap_or_default()), LIST_ELEMENTS);
            let all = attributes(elements.unwrap_or_default());
            count += all.filter(|(_, element)| !is_end(element)).count();
        };
        match ask(SockProtocol::NetlinkNetFilter, GETSETELEM, Ask::All, &body, each) {
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

/// The kernel's number.
fn number(family: Family) -> u8 {
    match family {
        Family::Inet => 1,
        Family::Netdev => 5,
        Family::Bridge => 7,
    }
}
