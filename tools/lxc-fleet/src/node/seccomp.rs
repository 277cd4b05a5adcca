//! Which system calls a node may make: a list of what is allowed, in LXC's format, with the meaning of the default
//! profile of Docker.
//!
//! What is on neither list answers "no such call" (ENOSYS) and not "not permitted": a C library that tries a call
//! which is newer than this list then takes the older one, as it does on an older kernel; after EPERM it gives up.
//!
//! One rule of Docker's is not in this list, and stands in [`crate::node::vsock`].

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use breakit::exit::{Error, Result};
use clap::ValueEnum;
use nix::libc::{ENOSYS, EPERM};
use serde::{Deserialize, Serialize};

/// What `up --allow` opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub enum Allow {
    /// Asynchronous input and output by io_uring(7).
    IoUring,
    /// Namespaces of the node's own: unshare(2), setns(2) and what is done in them.
    Userns,
    /// Sockets to the host of this virtual machine, and the call socketcall(2) of 32-bit programs.
    Vsock,
}

impl Allow {
    /// Its word on the command line.
    pub fn word(self) -> &'static str {
        match self {
            Allow::IoUring => "io_uring",
            Allow::Userns => "userns",
            Allow::Vsock => "vsock",
        }
    }
}

/// The words of `allowed`, separated by commas.
pub fn words(allowed: &[Allow]) -> String {
    allowed.iter().map(|a| a.word()).collect::<Vec<_>>().join(",")
}

/// Files, folders and what is told about them.
const FILES: &str = "access chdir chmod chown chown32 close close_range copy_file_range creat dup dup2 dup3 \
     faccessat faccessat2 fadvise64 fadvise64_64 fallocate fchdir fchmod fchmodat fchmodat2 fchown fchown32 fchownat \
     fcntl fcntl64 fdatasync fgetxattr flistxattr flock fremovexattr fsetxattr fstat fstat64 fstatat64 fstatfs \
     fstatfs64 fsync ftruncate ftruncate64 futimesat getcwd getdents getdents64 getxattr lchown lchown32 lgetxattr \
     link linkat listxattr llistxattr _llseek lremovexattr lseek lsetxattr lstat lstat64 mkdir mkdirat mknod mknodat \
     name_to_handle_at newfstatat open openat openat2 readlink readlinkat removexattr rename renameat renameat2 rmdir \
     setxattr stat stat64 statfs statfs64 statx symlink symlinkat sync sync_file_range sync_file_range2 \
     arm_sync_file_range arm_fadvise64_64 syncfs truncate truncate64 umask unlink unlinkat utime utimensat \
     utimensat_time64 utimes inotify_add_watch inotify_init inotify_init1 inotify_rm_watch fanotify_mark cachestat";

/// Reading, writing and waiting.
const STREAMS: &str = "epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait \
     epoll_wait_old eventfd eventfd2 io_cancel ioctl io_destroy io_getevents io_pgetevents io_pgetevents_time64 \
     io_setup io_submit _newselect pause pipe pipe2 poll ppoll ppoll_time64 pread64 preadv preadv2 pselect6 \
     pselect6_time64 pwrite64 pwritev pwritev2 read readahead readv select sendfile sendfile64 signalfd signalfd4 \
     splice tee timerfd_create timerfd_gettime timerfd_gettime64 timerfd_settime timerfd_settime64 vmsplice write \
     writev";

/// The network.
const NETWORK: &str = "accept accept4 bind connect getpeername getsockname getsockopt listen recv recvfrom recvmmsg \
     recvmmsg_time64 recvmsg send sendmmsg sendmsg sendto setsockopt shutdown socket socketcall socketpair";

/// Memory, shared or not, and messages between processes.
const MEMORY: &str = "brk get_mempolicy ipc madvise mbind membarrier memfd_create memfd_secret mincore mlock mlock2 \
     mlockall mmap mmap2 mprotect mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedreceive_time64 \
     mq_timedsend mq_timedsend_time64 mq_unlink mremap msgctl msgget msgrcv msgsnd mseal msync munlock munlockall \
     munmap pkey_alloc pkey_free pkey_mprotect remap_file_pages semctl semget semop semtimedop semtimedop_time64 \
     set_mempolicy set_mempolicy_home_node shmat shmctl shmdt shmget map_shadow_stack";

/// Processes, threads, signals and their rights.
const PROCESSES: &str = "alarm arch_prctl breakpoint cacheflush capget capset chroot execve execveat exit exit_group \
     fork futex futex_requeue futex_time64 futex_wait futex_waitv futex_wake getcpu getegid getegid32 geteuid \
     geteuid32 getgid getgid32 getgroups getgroups32 getpgid getpgrp getpid getppid getpriority getresgid \
     getresgid32 getresuid getresuid32 getrlimit get_robust_list getrusage getsid get_thread_area gettid getuid \
     getuid32 ioprio_get ioprio_set kcmp kill landlock_add_rule landlock_create_ruleset landlock_restrict_self \
     modify_ldt pidfd_getfd pidfd_open pidfd_send_signal prctl prlimit64 process_madvise process_mrelease \
     process_vm_readv process_vm_writev ptrace restart_syscall riscv_flush_icache rseq rt_sigaction rt_sigpending \
     rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_sigtimedwait_time64 \
     rt_tgsigqueueinfo s390_pci_mmio_read s390_pci_mmio_write s390_runtime_instr sched_getaffinity sched_getattr \
     sched_getparam sched_get_priority_max sched_get_priority_min sched_getscheduler sched_rr_get_interval \
     sched_rr_get_interval_time64 sched_setaffinity sched_setattr sched_setparam sched_setscheduler sched_yield \
     seccomp setfsgid setfsgid32 setfsuid setfsuid32 setgid setgid32 setgroups setgroups32 setpgid setpriority \
     setregid setregid32 setresgid setresgid32 setresuid setresuid32 setreuid setreuid32 setrlimit set_robust_list \
     setsid set_thread_area set_tid_address set_tls setuid setuid32 sigaltstack sigprocmask sigreturn swapcontext \
     tgkill tkill ugetrlimit vfork vhangup wait4 waitid waitpid";

/// Clocks, and what a node asks about its machine.
const CLOCKS: &str = "adjtimex clock_adjtime clock_adjtime64 clock_getres clock_getres_time64 clock_gettime \
     clock_gettime64 clock_nanosleep clock_nanosleep_time64 getitimer getrandom gettimeofday nanosleep setitimer \
     sysinfo time timer_create timer_delete timer_getoverrun timer_gettime timer_gettime64 timer_settime \
     timer_settime64 times uname";

/// What only the host's administrator does: not permitted. Calls for keys, io_uring and clone3 are on no list.
const REFUSED: &str = "_sysctl acct afs_syscall bdflush bpf clock_settime clock_settime64 create_module delete_module \
     fanotify_init finit_module get_kernel_syms getpmsg init_module ioperm iopl kexec_file_load kexec_load \
     lookup_dcookie migrate_pages move_pages nfsservctl open_by_handle_at pciconfig_iobase pciconfig_read \
     pciconfig_write perf_event_open putpmsg query_module quotactl quotactl_fd reboot settimeofday stime swapoff \
     swapon sysfs syslog uselib userfaultfd ustat vm86 vm86old vserver lsm_set_self_attr";

/// What makes, enters and fills namespaces: not permitted without [`Allow::Userns`].
const NAMESPACES: &str = "fsconfig fsmount fsopen fspick mount mount_setattr move_mount open_tree pivot_root \
     setdomainname sethostname setns umount umount2 unshare listmount statmount";

/// io_uring's calls: they do what the list forbids without passing it.
const IO_URING: &str = "io_uring_enter io_uring_register io_uring_setup";

/// The bits of clone(2) that make a namespace, from linux/sched.h: mount, cgroup, UTS, IPC, user, pid, network.
const NAMESPACE_BITS: [u32; 7] =
    [0x2_0000, 0x200_0000, 0x400_0000, 0x800_0000, 0x1000_0000, 0x2000_0000, 0x4000_0000];

/// Which argument of clone(2) has the bits.
const CLONE_FLAGS: u8 = if cfg!(target_arch = "s390x") { 1 } else { 0 };

/// What personality(2) may be: Linux, Linux that says 2.6 (8) or 32 bits (0x20000), and the question what it is.
const PERSONALITIES: [u32; 5] = [0, 8, 0x2_0000, 0x2_0008, u32::MAX];

/// The profile of a node that has what `allowed` opens.
pub fn profile(allowed: &[Allow]) -> String {
    let userns = allowed.contains(&Allow::Userns);
    let mut text = format!("2\nallowlist errno {ENOSYS}\n[all]\n");
    for list in [FILES, STREAMS, NETWORK, MEMORY, PROCESSES, CLOCKS] {
        permit(&mut text, list);
    }
    for value in PERSONALITIES {
        line(&mut text, format_args!("personality allow [0,{value},SCMP_CMP_EQ]"));
    }
    if allowed.contains(&Allow::IoUring) {
        permit(&mut text, IO_URING);
    }
    refuse(&mut text, REFUSED);
    if userns {
        permit(&mut text, NAMESPACES);
        permit(&mut text, "clone clone3");
    } else {
        refuse(&mut text, NAMESPACES);
        refuse_namespaces_of_clone(&mut text);
    }
    text
}

fn permit(text: &mut String, list: &str) {
    list.split_whitespace().for_each(|call| line(text, format_args!("{call}")));
}

fn refuse(text: &mut String, list: &str) {
    list.split_whitespace().for_each(|call| line(text, format_args!("{call} errno {EPERM}")));
}

/// The flags of clone3 lie in memory, where no filter sees them: it is on no list, and callers take clone.
fn refuse_namespaces_of_clone(text: &mut String) {
    let all = NAMESPACE_BITS.iter().sum::<u32>();
    let at = CLONE_FLAGS;
    line(text, format_args!("clone allow [{at},0,SCMP_CMP_MASKED_EQ,{all:#x}]"));
    for bit in NAMESPACE_BITS {
        line(text, format_args!("clone errno {EPERM} [{at},{bit:#x},SCMP_CMP_MASKED_EQ,{bit:#x}]"));
    }
}

fn line(text: &mut String, words: std::fmt::Arguments<'_>) {
    // Writing into a String does not fail.
    let _ = writeln!(text, "{words}");
}

/// Where the profile of a node lies, whose configuration is in `folder`.
pub fn file(folder: &Path) -> PathBuf {
    folder.join("seccomp")
}

/// Requires a kernel that can filter system calls.
///
/// # Errors
/// 69 if it cannot.
pub fn required() -> Result<()> {
    match mode("self") {
        Some(_) => Ok(()),
        None => Err(Error::missing(
            "this kernel cannot filter system calls (CONFIG_SECCOMP_FILTER), and no node starts without that",
        )),
    }
}

/// Whether LXC filters the system calls of the process `pid`, which has `ours` filters of our own and those that we
/// have ourselves.
pub fn filters(pid: u32, ours: u32) -> bool {
    let pid = pid.to_string();
    match (filters_of(&pid), filters_of("self")) {
        (Some(all), Some(inherited)) => all > inherited + ours,
        // Kernels before 5.9 do not count them.
        _ => mode(&pid) == Some(2),
    }
}

/// The line `Seccomp:` of /proc/PID/status: 0 is off, 2 is a filter.
fn mode(pid: &str) -> Option<u32> {
    status(pid, "Seccomp:")
}

fn filters_of(pid: &str) -> Option<u32> {
    status(pid, "Seccomp_filters:")
}

fn status(pid: &str, name: &str) -> Option<u32> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines_for(call: &str, allowed: &[Allow]) -> Vec<String> {
        let text = profile(allowed);
        let of = |line: &&str| line.split(' ').next() == Some(call);
        text.lines().filter(of).map(|line| line.strip_prefix(call).unwrap().into()).collect()
    }

    #[test]
    fn no_call_is_named_twice_but_by_its_arguments() {
        for allowed in [&[][..], &[Allow::IoUring], &[Allow::IoUring, Allow::Userns]] {
            let text = profile(allowed);
            let mut calls: Vec<&str> = text.lines().skip(3).collect();
            calls.sort_unstable();
            let all = calls.len();
            calls.dedup_by_key(|line| match line.contains('[') {
                true => *line,
                false => line.split(' ').next().unwrap_or(line),
            });
            assert_eq!(calls.len(), all);
        }
    }

    #[test]
    fn what_is_opened_is_open_and_nothing_else() {
        assert_eq!(lines_for("unshare", &[]), [" errno 1"]);
        assert_eq!(lines_for("unshare", &[Allow::Userns]), [""]);
        assert_eq!(lines_for("clone3", &[]), [""; 0]);
        assert_eq!(lines_for("clone3", &[Allow::Userns]), [""]);
        assert_eq!(lines_for("io_uring_setup", &[Allow::Userns]), [""; 0]);
        assert_eq!(lines_for("io_uring_setup", &[Allow::IoUring]), [""]);
        assert_eq!(lines_for("clone", &[]).len(), 8);
        assert_eq!(lines_for("clone", &[Allow::Userns]), [""]);
        for call in ["keyctl", "add_key", "request_key"] {
            assert_eq!(lines_for(call, &[Allow::IoUring, Allow::Userns]), [""; 0]);
        }
    }
}
