//! `reading`: how fast a history is read, and in how much memory, beside what there is to compare with in the
//! same run: counting newlines, and `serde_json` over the same lines.
//!
//! Every pass is one process of its own making (this program again, with the pass as its second argument), so
//! that none profits from the memory of another. Prints one JSON object a pass.

use std::io::Read;
use std::path::Path;
use std::process::Command;

use breakit::exit::{Error, Result, Status};
use breakit::jsonl;
use clap::{Parser, ValueEnum};
use histcheck::read::{Options, read_path};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;

/// Measures how fast a history is read.
#[derive(Parser, Debug)]
#[command(name = "reading")]
struct Cli {
    /// A history in JSON lines
    file: std::path::PathBuf,
    /// Only this pass, in this process
    #[arg(value_enum)]
    pass: Option<Pass>,
    /// How often each pass is made; the quickest counts
    #[arg(long, default_value_t = 5)]
    times: u32,
}

#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
enum Pass {
    /// Counting newlines
    Newlines,
    /// serde_json::Value of every line
    SerdeJson,
    /// histcheck without times, as its check linear reads
    Histcheck,
    /// histcheck with times
    WithTimes,
}

fn main() -> std::process::ExitCode {
    breakit::tool::main("reading", run)
}

fn run(cli: Cli) -> Result<Status> {
    match cli.pass {
        Some(pass) => measure(&cli.file, pass)?,
        None => {
            for pass in Pass::value_variants() {
                jsonl::print(&quickest(&cli, *pass)?)?;
            }
        }
    }
    Ok(Status::Done)
}

fn quickest(cli: &Cli, pass: Pass) -> Result<String> {
    let name = pass.to_possible_value().map(|value| value.get_name().to_string());
    let this = std::env::current_exe().map_err(|e| Error::io("find this program", &e))?;
    let mut lines = Vec::new();
    for _ in 0..cli.times {
        let output = Command::new(&this)
            .arg(&cli.file)
            .args(&name)
            .output()
            .map_err(|e| Error::io("run this program", &e))?;
        let text = String::from_utf8_lossy(&output.stdout).trim().to_string();
        let seconds = serde_json::from_str::<serde_json::Value>(&text)
            .ok()
            .and_then(|line| line["user_s"].as_f64())
            .ok_or_else(|| Error::data(String::from_utf8_lossy(&output.stderr).to_string()))?;
        lines.push((seconds, text));
    }
    lines.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    Ok(lines.swap_remove(0).1)
}

fn measure(file: &Path, pass: Pass) -> Result<()> {
    let place = |e: std::io::Error| Error::io(format!("read {}", file.display()), &e);
    let bytes = file.metadata().map_err(place)?.len();
    let (before, held) = (user_seconds()?, resident("VmRSS:"));
    let began = std::time::Instant::now();
    let (count, kept) = match pass {
        Pass::Newlines => {
            (each_block(file, |block| memchr::memchr_iter(b'\n', block).count())?, None)
        }
        Pass::SerdeJson => {
            let text = std::fs::read(file).map_err(place)?;
            let lines = text.split(|&byte| byte == b'\n');
            let parsed =
                lines.filter(|line| serde_json::from_slice::<serde_json::Value>(line).is_ok());
            (parsed.count(), None)
        }
        Pass::Histcheck | Pass::WithTimes => {
            let skip_times = pass == Pass::Histcheck;
            let history = read_path(file, Options { skip_times, ..Options::default() })?;
            (history.ops.len(), Some(history))
        }
    };
    let (wall, user) = (began.elapsed().as_secs_f64(), user_seconds()? - before);
    let grown = resident("VmRSS:").saturating_sub(held);
    let per_operation = kept.as_ref().map(|_| grown as f64 / count as f64);
    jsonl::print(
        &serde_json::json!({
            "pass": format!("{pass:?}"),
            "bytes": bytes,
            "count": count,
            "user_s": user,
            "wall_s": wall,
            "gb_per_user_s": bytes as f64 / user / 1e9,
            "resident_bytes_per_operation": per_operation,
            "most_resident_mb": resident("VmHWM:") / 1_000_000,
        })
        .to_string(),
    )
}

fn each_block(file: &Path, mut take: impl FnMut(&[u8]) -> usize) -> Result<usize> {
    let place = |e: std::io::Error| Error::io(format!("read {}", file.display()), &e);
    let mut source = std::fs::File::open(file).map_err(place)?;
    let mut buffer = vec![0; 1 << 20];
    let mut sum = 0;
    loop {
        match source.read(&mut buffer).map_err(place)? {
            0 => return Ok(sum),
            read => sum += take(&buffer[..read]),
        }
    }
}

fn user_seconds() -> Result<f64> {
    let usage = getrusage(UsageWho::RUSAGE_SELF)
        .map_err(|e| Error::io("ask for the time used", &e.into()))?;
    let time: TimeVal = usage.user_time();
    Ok(time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6)
}

/// Bytes, from the line of that name in /proc/self/status.
fn resident(name: &str) -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let kib = line.and_then(|rest| rest.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kib.unwrap_or_default() * 1024
}
