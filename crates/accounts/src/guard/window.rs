//! What became of an account's last recipients, in counters that take a line whatever the account sends, and what they say.

use std::collections::VecDeque;
use std::fmt::Write as _;

/// Recipients in one slot; the oldest slot is forgotten as a whole.
const SLOT: u32 = 50;
/// Full slots beside the one that fills: the window is the last 950 to 1,000 recipients.
const FULL: usize = 19;

/// A share in hundredths of a per cent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Share(pub u32);

/// From when on an account is paused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thresholds {
    /// More bounces than this; zero: never.
    pub bounces: Share,
    /// More complaints than this; zero: never.
    pub complaints: Share,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            bounces: Share(800),
            complaints: Share(30),
        }
    }
}

/// Too few recipients say nothing, and too few bounces or complaints among them are bad luck.
const LEAST_RECIPIENTS: u32 = 200;
const LEAST_BOUNCES: u32 = 50;
const LEAST_COMPLAINTS: u32 = 4;

/// How it ended for one recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Delivered, or given up after days of trying: nobody said that the mailbox is not there.
    Other,
    /// Refused for good.
    Bounced,
}

/// How much of what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    pub recipients: u32,
    pub bounced: u32,
    pub complained: u32,
}

impl Counted {
    fn add(&mut self, other: Self) {
        self.recipients += other.recipients;
        self.bounced += other.bounced;
        self.complained += other.complained;
    }
}

/// Why an account is paused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    Bounces,
    Complaints,
}

/// The counters of one account.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Window(VecDeque<Counted>);

impl Window {
    /// Counts one recipient that reached its end.
    pub fn end(&mut self, ending: Ending) {
        if self.0.back().is_none_or(|slot| slot.recipients >= SLOT) {
            self.0.push_back(Counted::default());
            if self.0.len() > FULL + 1 {
                self.0.pop_front();
            }
        }
        if let Some(slot) = self.0.back_mut() {
            slot.recipients += 1;
            slot.bounced += u32::from(ending == Ending::Bounced);
        }
    }

    /// Counts a complaint about mail that was delivered some time ago. It counts from when it came: that mail may be out of the
    /// window already.
    pub fn complain(&mut self) {
        if self.0.is_empty() {
            self.0.push_back(Counted::default());
        }
        if let Some(slot) = self.0.back_mut() {
            slot.complained += 1;
        }
    }

    /// Counts a bounce of a recipient that was counted as delivered before.
    pub fn bounce_late(&mut self) {
        if self.0.is_empty() {
            self.0.push_back(Counted::default());
        }
        if let Some(slot) = self.0.back_mut() {
            slot.bounced += 1;
        }
    }

    pub fn counted(&self) -> Counted {
        let mut sum = Counted::default();
        for slot in &self.0 {
            sum.add(*slot);
        }
        sum
    }

    /// Whether the account is to be paused.
    pub fn judge(&self, thresholds: Thresholds) -> Option<Cause> {
        let counted = self.counted();
        if counted.recipients < LEAST_RECIPIENTS {
            return None;
        }
        let over = |some: u32, share: Share| {
            share.0 > 0 && u64::from(some) * 10_000 > u64::from(counted.recipients) * u64::from(share.0)
        };
        if counted.bounced >= LEAST_BOUNCES && over(counted.bounced, thresholds.bounces) {
            return Some(Cause::Bounces);
        }
        let complains =
            counted.complained >= LEAST_COMPLAINTS && over(counted.complained, thresholds.complaints);
        complains.then_some(Cause::Complaints)
    }

    /// `50,3,0;12,0,0`: recipients, bounces and complaints of each slot, the oldest first.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        for slot in &self.0 {
            if !text.is_empty() {
                text.push(';');
            }
            let _ = write!(text, "{},{},{}", slot.recipients, slot.bounced, slot.complained);
        }
        text
    }

    /// Reads [`Window::to_text`]; what cannot be read is left out.
    pub fn parse(text: &str) -> Self {
        let slots = text.split(';').filter_map(|slot| {
            let mut numbers = slot.split(',').map(str::parse);
            let mut next = || numbers.next()?.ok();
            Some(Counted {
                recipients: next()?,
                bounced: next()?,
                complained: next()?,
            })
        });
        Self(slots.collect())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(other: u32, bounced: u32, complained: u32) -> Window {
        let mut window = Window::default();
        let (mut fine, mut refused) = (other, bounced);
        // Evenly mixed, so that no slot is special.
        while fine + refused > 0 {
            if u64::from(refused) * u64::from(other) >= u64::from(fine) * u64::from(bounced) && refused > 0 {
                window.end(Ending::Bounced);
                refused -= 1;
            } else {
                window.end(Ending::Other);
                fine -= 1;
            }
        }
        for _ in 0..complained {
            window.complain();
        }
        window
    }

    #[test]
    fn more_than_eight_bounces_in_a_hundred_pause_and_bad_luck_does_not() {
        for (other, bounced, expected) in [
            (0, 0, None),
            (0, 199, None),
            (0, 200, Some(Cause::Bounces)),
            (150, 49, None),
            (150, 50, Some(Cause::Bounces)),
            (151, 49, None),
            // Exactly eight in a hundred is not more.
            (920, 80, None),
            (919, 81, Some(Cause::Bounces)),
            (575, 50, None),
            (574, 50, Some(Cause::Bounces)),
        ] {
            let window = of(other, bounced, 0);
            assert_eq!(window.judge(Thresholds::default()), expected, "{other} {bounced}");
        }
        let never = Thresholds {
            bounces: Share(0),
            complaints: Share(0),
        };
        assert_eq!(of(0, 500, 500).judge(never), None);
    }

    #[test]
    fn more_than_three_complaints_in_a_thousand_pause() {
        for (other, complained, expected) in [
            (1_000, 3, None),
            (1_000, 4, Some(Cause::Complaints)),
            (300, 3, None),
            (199, 50, None),
        ] {
            let window = of(other, 0, complained);
            assert_eq!(
                window.judge(Thresholds::default()),
                expected,
                "{other} {complained}"
            );
        }
    }

    #[test]
    fn what_is_long_past_is_forgotten() {
        let mut window = of(0, 100, 5);
        assert_eq!(window.judge(Thresholds::default()), None);
        for _ in 0..900 {
            window.end(Ending::Other);
        }
        assert_eq!(window.judge(Thresholds::default()), Some(Cause::Bounces));
        for _ in 0..101 {
            window.end(Ending::Other);
        }
        assert_eq!(window.counted().bounced, 0);
        assert_eq!(window.judge(Thresholds::default()), None);
    }

    proptest! {
        #[test]
        fn the_window_is_the_last_950_to_1000_recipients_and_its_sums_are_theirs(
            endings in prop::collection::vec(any::<bool>(), 0..3_000)
        ) {
            let mut window = Window::default();
            for bounced in &endings {
                window.end(if *bounced { Ending::Bounced } else { Ending::Other });
            }
            let counted = window.counted();
            let recipients = counted.recipients as usize;
            prop_assert!(recipients == endings.len() || (951..=1_000).contains(&recipients));
            let last = &endings[endings.len() - recipients..];
            prop_assert_eq!(counted.bounced as usize, last.iter().filter(|bounced| **bounced).count());
        }

        #[test]
        fn a_window_reads_back_from_its_text(endings in prop::collection::vec(0..3_u8, 0..1_200)) {
            let mut window = Window::default();
            for ending in endings {
                match ending {
                    0 => window.end(Ending::Other),
                    1 => window.end(Ending::Bounced),
                    _ => window.complain(),
                }
            }
            prop_assert_eq!(&Window::parse(&window.to_text()), &window);
            prop_assert!(window.to_text().len() < 300);
        }

        #[test]
        fn no_text_makes_it_panic(text in ".*") {
            let _ = Window::parse(&text).counted();
        }
    }
}
