//! Keeps a node from the host of the virtual machine in which it runs: sockets of the family AF_VSOCK lead there.
//!
//! LXC cannot say this rule: it gives a rule on an argument of socket(2) to 32-bit programs as well, of which it can
//! judge no argument, and with a section for each architecture the last one holds for all (LXC 5.0.2). So we put a
//! filter of our own before LXC's list, on whatever starts a node or enters one; the kernel asks both.
//!
//! A 32-bit program of x86 may also make sockets by socketcall(2), whose arguments lie in memory, where no filter sees
//! them: that call is not there at all.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::errno::Errno;
use nix::libc::{
    self, BPF_ABS, BPF_ALU, BPF_AND, BPF_JEQ, BPF_JMP, BPF_K, BPF_LD, BPF_RET, BPF_W, EAFNOSUPPORT,
    ENOSYS, SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO, SECCOMP_SET_MODE_FILTER, sock_filter, sock_fprog,
};

/// The family of sockets between a virtual machine and its host, from linux/socket.h.
const AF_VSOCK: u32 = 40;

/// The bit of a call's number that marks the x32 programs of x86.
const X32: u32 = 0x4000_0000;

/// Where `struct seccomp_data` has the number of the call, the architecture and the low half of the first argument.
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const FIRST: u32 = 16;

/// How programs of one architecture make sockets: numbers of calls, and the architecture as linux/audit.h has it.
struct Abi {
    architecture: u32,
    socket: u32,
    socketpair: u32,
    socketcall: Option<u32>,
}

/// What programs a kernel of this architecture runs. On others than these nothing is kept from a node.
const ABIS: &[Abi] = if cfg!(target_arch = "x86_64") {
    &[
        Abi { architecture: 0xc000_003e, socket: 41, socketpair: 53, socketcall: None },
        Abi { architecture: 0x4000_0003, socket: 359, socketpair: 360, socketcall: Some(102) },
    ]
} else if cfg!(target_arch = "aarch64") {
    &[
        Abi { architecture: 0xc000_00b7, socket: 198, socketpair: 199, socketcall: None },
        Abi { architecture: 0x4000_0028, socket: 281, socketpair: 288, socketcall: None },
    ]
} else {
    &[]
};

/// Whether it is known how programs of this architecture make sockets.
pub fn is_known() -> bool {
    !ABIS.is_empty()
}

/// Lets neither `command` nor what it starts make such a socket, where it [is known](is_known) how.
pub fn shut(command: &mut Command) {
    if !is_known() {
        return;
    }
    let program = program();
    // SAFETY: between fork and exec the closure makes one system call, and allocates nothing.
    unsafe { command.pre_exec(move || install(&program)) };
}

/// Not by prctl(2) and without "no new privileges": sudo and su are to work in a node. We are root.
fn install(program: &[sock_filter]) -> io::Result<()> {
    let program = sock_fprog {
        len: u16::try_from(program.len()).unwrap_or(u16::MAX),
        filter: program.as_ptr().cast_mut(),
    };
    // SAFETY: the kernel copies the program, which is as long as it says, before the call returns.
    let done = unsafe { libc::syscall(libc::SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) };
    Errno::result(done)?;
    Ok(())
}

fn program() -> Vec<sock_filter> {
    let mut all = vec![load(ARCHITECTURE)];
    for abi in ABIS {
        let block = block(abi);
        all.push(jump_unless(abi.architecture, block.len()));
        all.extend(block);
    }
    all.push(answer(SECCOMP_RET_ALLOW));
    all
}

/// Judges a call of one architecture.
fn block(abi: &Abi) -> Vec<sock_filter> {
    let family = [
        load(FIRST),
        jump_unless(AF_VSOCK, 1),
        answer(SECCOMP_RET_ERRNO | EAFNOSUPPORT as u32),
        answer(SECCOMP_RET_ALLOW),
    ];
    let mut block = vec![load(NUMBER), instruction(BPF_ALU | BPF_AND | BPF_K, !X32, 0)];
    if let Some(socketcall) = abi.socketcall {
        block.extend([jump_unless(socketcall, 1), answer(SECCOMP_RET_ERRNO | ENOSYS as u32)]);
    }
    for call in [abi.socket, abi.socketpair] {
        block.push(jump_unless(call, family.len()));
        block.extend(family);
    }
    block.push(answer(SECCOMP_RET_ALLOW));
    block
}

fn load(offset: u32) -> sock_filter {
    instruction(BPF_LD | BPF_W | BPF_ABS, offset, 0)
}

/// Passes `over` instructions over where what was loaded is not `value`.
fn jump_unless(value: u32, over: usize) -> sock_filter {
    instruction(BPF_JMP | BPF_JEQ | BPF_K, value, u8::try_from(over).unwrap_or(u8::MAX))
}

fn answer(value: u32) -> sock_filter {
    instruction(BPF_RET | BPF_K, value, 0)
}

fn instruction(code: u32, k: u32, jf: u8) -> sock_filter {
    sock_filter { code: code as u16, jt: 0, jf, k }
}
