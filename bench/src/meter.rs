//! What a server's processes cost, read from /proc: processor time of the whole tree, and its peak memory.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Linux counts processor time for /proc in hundredths of a second on every machine in use.
const TICKS_A_SECOND: f64 = 100.0;

struct Process {
    parent: u32,
    /// Its own time and that of children it has waited for.
    ticks: u64,
}

/// Processor seconds of these processes and everything below them, children that ended included.
pub fn cpu_seconds(roots: &[u32]) -> f64 {
    let processes = processes();
    let ticks: u64 = tree(&processes, roots)
        .iter()
        .map(|pid| processes[pid].ticks)
        .sum();
    ticks as f64 / TICKS_A_SECOND
}

fn processes() -> HashMap<u32, Process> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return HashMap::new();
    };
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(|pid: u32| {
            Some((
                pid,
                process(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)?,
            ))
        })
        .collect()
}

/// One line of /proc/PID/stat. The name may hold spaces and brackets; what is wanted stands behind it.
fn process(stat: &str) -> Option<Process> {
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_ascii_whitespace().collect();
    let ticks = fields
        .get(11..15)?
        .iter()
        .filter_map(|field| field.parse::<u64>().ok())
        .sum();
    Some(Process {
        parent: fields.get(1)?.parse().ok()?,
        ticks,
    })
}

fn tree(processes: &HashMap<u32, Process>, roots: &[u32]) -> Vec<u32> {
    let belongs = |mut pid: u32| loop {
        if roots.contains(&pid) {
            return true;
        }
        match processes.get(&pid) {
            Some(process) if process.parent > 0 => pid = process.parent,
            _ => return false,
        }
    };
    processes.keys().copied().filter(|&pid| belongs(pid)).collect()
}

/// Watches the memory of a process tree until it is asked for the peak.
pub struct MemoryWatch {
    over: Arc<AtomicBool>,
    peak: Arc<AtomicU64>,
    thread: JoinHandle<()>,
}

impl MemoryWatch {
    pub fn start(roots: Vec<u32>) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let peak = Arc::new(AtomicU64::new(0));
        let thread = {
            let (over, peak) = (Arc::clone(&over), Arc::clone(&peak));
            thread::spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    peak.fetch_max(resident_kib(&roots), Ordering::Relaxed);
                    thread::park_timeout(Duration::from_millis(500));
                }
            })
        };
        Self { over, peak, thread }
    }

    /// The peak in MiB: of one process what the kernel noted, of several the highest sum seen, shared pages counted once.
    pub fn peak_mib(self, roots: &[u32]) -> f64 {
        self.over.store(true, Ordering::Relaxed);
        self.thread.thread().unpark();
        let seen = self
            .thread
            .join()
            .map_or(0, |()| self.peak.load(Ordering::Relaxed));
        let processes = processes();
        let exact = match tree(&processes, roots).as_slice() {
            [one] => field_kib(&format!("/proc/{one}/status"), "VmHWM:").unwrap_or(0),
            _ => 0,
        };
        seen.max(exact) as f64 / 1024.0
    }
}

fn resident_kib(roots: &[u32]) -> u64 {
    let processes = processes();
    tree(&processes, roots)
        .iter()
        .filter_map(|pid| field_kib(&format!("/proc/{pid}/smaps_rollup"), "Pss:"))
        .sum()
}

fn field_kib(path: &str, name: &str) -> Option<u64> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

/// How busy the machine is by itself: the load of the last five minutes. Figures taken on a busy one say little but their ratio.
pub fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_ascii_whitespace()
        .nth(1)
        .unwrap_or("unknown")
        .to_owned()
}

/// Reads the machine's name for the table: processor, cores, memory.
pub fn machine() -> io::Result<String> {
    let cpu = fs::read_to_string("/proc/cpuinfo")?;
    let models: Vec<&str> = cpu
        .lines()
        .filter(|line| line.starts_with("model name"))
        .filter_map(|line| line.split_once(": "))
        .map(|(_, name)| name)
        .collect();
    let memory = field_kib("/proc/meminfo", "MemTotal:").unwrap_or(0) as f64 / 1024.0 / 1024.0;
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let model = models.first().copied().unwrap_or("unknown processor");
    Ok(format!(
        "{} cores of {model}, {memory:.0} GiB, Linux {}",
        models.len(),
        kernel.trim()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_whose_name_has_brackets_is_read() {
        let stat = "42 (a) b (c)) S 7 42 42 0 -1 4194560 1 2 3 4 100 20 3 1 20 0 1 0 5 6 7";
        let process = process(stat).unwrap();
        assert_eq!((process.parent, process.ticks), (7, 124));
    }

    #[test]
    fn a_tree_is_its_root_and_all_below() {
        let processes: HashMap<u32, Process> = [(1, 0), (5, 1), (6, 5), (7, 6), (8, 1)]
            .map(|(pid, parent)| (pid, Process { parent, ticks: 0 }))
            .into();
        let mut found = tree(&processes, &[5]);
        found.sort_unstable();
        assert_eq!(found, [5, 6, 7]);
    }
}
