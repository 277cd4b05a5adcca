//! What nf_tables calls its messages and attributes (linux/netfilter/nfnetlink.h and nf_tables.h).

use nix::libc;

/// The number of nf_tables among the parts of netfilter.
pub const SUBSYSTEM: u16 = libc::NFNL_SUBSYS_NFTABLES as u16;
/// The size of struct nfgenmsg, with which each message begins.
pub const HEADER: usize = 4;

/// The first message of a transaction.
pub const BATCH_BEGIN: u16 = libc::NFNL_MSG_BATCH_BEGIN as u16;
/// The last message of a transaction.
pub const BATCH_END: u16 = libc::NFNL_MSG_BATCH_END as u16;

/// Makes a table.
pub const NEW_TABLE: u16 = of(libc::NFT_MSG_NEWTABLE);
/// Asks for tables.
pub const GET_TABLE: u16 = of(libc::NFT_MSG_GETTABLE);
/// Removes a table.
pub const DELETE_TABLE: u16 = of(libc::NFT_MSG_DELTABLE);
/// Makes a chain.
pub const NEW_CHAIN: u16 = of(libc::NFT_MSG_NEWCHAIN);
/// Asks for chains.
pub const GET_CHAIN: u16 = of(libc::NFT_MSG_GETCHAIN);
/// Makes a rule.
pub const NEW_RULE: u16 = of(libc::NFT_MSG_NEWRULE);
/// Asks for rules.
pub const GET_RULE: u16 = of(libc::NFT_MSG_GETRULE);
/// Asks for the elements of a set.
pub const GET_ELEMENTS: u16 = of(libc::NFT_MSG_GETSETELEM);

/// The name of a table.
pub const TABLE_NAME: u16 = 1;
/// The table of a chain.
pub const CHAIN_TABLE: u16 = 1;
/// The name of a chain.
pub const CHAIN_NAME: u16 = 3;
/// The type of a chain: `filter`, `nat`.
pub const CHAIN_TYPE: u16 = 7;
/// The table of a rule.
pub const RULE_TABLE: u16 = 1;
/// The chain of a rule.
pub const RULE_CHAIN: u16 = 2;

const fn of(message: libc::c_int) -> u16 {
    SUBSYSTEM << 8 | message as u16
}
