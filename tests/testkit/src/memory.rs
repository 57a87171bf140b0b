//! The memory of this process.

/// The resident kilobytes, without the pages of files: the system maps those of the executable as functions are called, and
/// drops them again.
pub fn resident_kilobytes() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: Vec<usize> = statm.split(' ').map(|pages| pages.trim().parse().unwrap()).collect();
    let (resident, of_files) = (pages[1], pages[2]);
    (resident - of_files) * 4
}
