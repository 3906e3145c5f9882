//! Bounces and complaints: delivery reports (RFC 3464), those that are none, and feedback reports (RFC 5965).
#![no_main]

use libfuzzer_sys::fuzz_target;
use mail::report::{Report, read};

fuzz_target!(|raw: &[u8]| {
    match read(raw) {
        Report::Nothing => {}
        Report::Status(fates) => {
            for fate in fates {
                assert!(fate.code.is_none_or(|code| (200..600).contains(&code)), "{:?}", fate.code);
            }
        }
        Report::Complaint(complaint) => {
            assert_eq!(complaint.kind, complaint.kind.to_lowercase());
        }
    }
});
