//! A message made one recipient's own: what is not exchanged stays as it was, and line ends stay whole.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mail::message::{Appending, Own, Wanted, plan};

fuzz_target!(|raw: &[u8]| {
    let whole = |text: &[u8]| {
        let mut before = 0;
        text.iter().all(|byte| {
            let fits = (*byte == b'\n') == (before == b'\r');
            before = *byte;
            fits
        })
    };
    // What is stored has no other line ends.
    if !whole(raw) || raw.last() == Some(&b'\r') {
        return;
    }
    let own = Own {
        unsubscribe: "https://mail.example/u/token",
        click: &|number| format!("https://mail.example/t/c/{number}"),
        open: "https://mail.example/t/o/token",
    };
    let appending = Appending {
        text: "To stop receiving these messages:".to_owned(),
        link: "Unsubscribe".to_owned(),
    };
    for wanted in [
        Wanted::default(),
        Wanted { unsubscribe: Some(appending), clicks: true, opens: true, keeps_names: false },
    ] {
        let plan = plan(raw, &wanted);
        let copy = plan.apply(b"", raw, &own);
        assert!(whole(&copy), "a bare CR or LF");
        if plan.is_empty() {
            assert_eq!(copy, raw);
        }
        assert_eq!(copy, plan.apply(b"", raw, &own));
        for target in plan.targets() {
            assert!(target.starts_with("http") && !target.contains(['\r', '\n', ' ']), "{target:?}");
        }
    }
});
