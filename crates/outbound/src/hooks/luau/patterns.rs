//! How much one class of a pattern names, which bounds what the interpreter does without coming back.

/// The octets of the longest class in brackets; 1 where there is none.
pub fn widest(pattern: &[u8]) -> usize {
    let mut widest = 1;
    let mut at = 0;
    while let Some(&octet) = pattern.get(at) {
        match octet {
            // `%b` has two more of its own, whatever they are.
            b'%' if pattern.get(at + 1) == Some(&b'b') => at += 4,
            b'%' => at += 2,
            b'[' => {
                let end = class_end(pattern, at);
                widest = widest.max(end - at);
                at = end;
            }
            _ => at += 1,
        }
    }
    widest
}

/// Where the class that begins here ends; one that is never closed ends with the pattern.
fn class_end(pattern: &[u8], begin: usize) -> usize {
    let mut at = begin + 1;
    if pattern.get(at) == Some(&b'^') {
        at += 1;
    }
    loop {
        match pattern.get(at) {
            None => return pattern.len(),
            Some(b'%') => at += 2,
            Some(_) => at += 1,
        }
        // The first one of a class closes nothing.
        if pattern.get(at) == Some(&b']') {
            return at + 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_class_is_found_as_the_interpreter_reads_it() {
        for (pattern, octets) in [
            ("", 1),
            ("abc%[def", 1),
            ("[ab]*", 4),
            ("[ab][^abc]", 6),
            ("[]]x[a]", 3),
            ("[^]a]", 5),
            ("[%]a]b", 5),
            ("%b[]aaaaaaaaaaaaaaa", 1),
            ("%f[%w]%w+", 4),
            ("[abc", 4),
            ("[%", 2),
            ("%", 1),
            ("%b[", 1),
        ] {
            assert_eq!(widest(pattern.as_bytes()), octets, "{pattern}");
        }
    }
}
