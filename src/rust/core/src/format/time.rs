//! Instants and days as the ledger writes them, always in UTC.

use std::time::{SystemTime, UNIX_EPOCH};

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, Timelike};

/// The length of a row's time: `2026-11-23T04:20:47.123456Z`.
pub const TIME_LEN: usize = 27;

/// Microseconds since 1970-01-01T00:00:00Z, within the years 0 to 9999.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(i64);

impl Timestamp {
    pub fn from_micros(micros: i64) -> Option<Timestamp> {
        let year = DateTime::from_timestamp_micros(micros)?.year();
        (0..=9999).contains(&year).then_some(Timestamp(micros))
    }

    /// Seconds since the epoch, to the nearest microsecond.
    pub fn from_seconds(seconds: f64) -> Option<Timestamp> {
        let micros = (seconds * 1e6).round();
        if micros.is_finite() && micros.abs() < 1e18 {
            Timestamp::from_micros(micros as i64)
        } else {
            None
        }
    }

    /// The clock of the machine, held within what a row can say.
    pub fn now() -> Timestamp {
        let micros = match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(since) => i64::try_from(since.as_micros()).unwrap_or(i64::MAX),
            Err(before) => -i64::try_from(before.duration().as_micros()).unwrap_or(i64::MAX),
        };
        Timestamp::from_micros(micros).unwrap_or(Timestamp(0))
    }

    pub fn seconds(self) -> f64 {
        self.0 as f64 / 1e6
    }

    pub fn micros(self) -> i64 {
        self.0
    }

    fn civil(self) -> NaiveDateTime {
        DateTime::from_timestamp_micros(self.0)
            .expect("checked when it was made")
            .naive_utc()
    }

    /// The 27 characters of a row's time.
    pub fn text(self) -> [u8; TIME_LEN] {
        let t = self.civil();
        let mut out = *b"0000-00-00T00:00:00.000000Z";
        digits(&mut out[0..4], t.year() as u32);
        digits(&mut out[5..7], t.month());
        digits(&mut out[8..10], t.day());
        digits(&mut out[11..13], t.hour());
        digits(&mut out[14..16], t.minute());
        digits(&mut out[17..19], t.second());
        digits(&mut out[20..26], t.nanosecond() / 1000);
        out
    }

    /// `YYYYMMDD-HHMMSS`, as a run id begins.
    pub fn compact(self) -> [u8; 15] {
        let long = self.text();
        let mut out = *b"00000000-000000";
        for (to, from) in [
            (0, 0..4),
            (4, 5..7),
            (6, 8..10),
            (9, 11..13),
            (11, 14..16),
            (13, 17..19),
        ] {
            out[to..to + from.len()].copy_from_slice(&long[from]);
        }
        out
    }

    /// Reads exactly what [`Timestamp::text`] writes.
    pub fn parse(text: &[u8]) -> Option<Timestamp> {
        if text.len() != TIME_LEN || text[19] != b'.' {
            return None;
        }
        let (seconds, fraction) = parse_instant(std::str::from_utf8(text).ok()?)?;
        let micros = fraction.parse::<i64>().ok()?;
        Timestamp::from_micros(seconds * 1_000_000 + micros)
    }
}

fn digits(out: &mut [u8], mut number: u32) {
    for place in out.iter_mut().rev() {
        *place = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

/// `YYYY-MM-DDTHH:MM:SS[.fraction]Z` as seconds since the epoch, rounded down, and the digits of
/// the fraction.
fn parse_instant(text: &str) -> Option<(i64, &str)> {
    let bytes = text.as_bytes();
    if bytes.len() < 20 || !text.is_ascii() || bytes[10] != b'T' || !text.ends_with('Z') {
        return None;
    }
    let day = parse_day(&text[..10])?;
    let number = |at: usize| -> Option<u32> {
        let two = &text[at..at + 2];
        two.bytes()
            .all(|b| b.is_ascii_digit())
            .then(|| two.parse().ok())?
    };
    if bytes[13] != b':' || bytes[16] != b':' {
        return None;
    }
    let (hour, minute, second) = (number(11)?, number(14)?, number(17)?);
    let midnight = i64::from(day) * 86_400;
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let fraction = match &text[19..text.len() - 1] {
        "" => "",
        rest => {
            let digits = rest.strip_prefix('.')?;
            let good = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
            good.then_some(digits)?
        }
    };
    Some((
        midnight + i64::from(hour * 3600 + minute * 60 + second),
        fraction,
    ))
}

/// Days since 1970-01-01 as `YYYY-MM-DD`; years outside 0 to 9999 have no such text.
pub fn day_text(days: i32) -> Option<String> {
    let date = NaiveDate::from_num_days_from_ce_opt(days.checked_add(719_163)?)?;
    (0..=9999)
        .contains(&date.year())
        .then(|| format!("{:04}-{:02}-{:02}", date.year(), date.month(), date.day()))
}

/// Reads exactly what [`day_text`] writes.
pub fn parse_day(text: &str) -> Option<i32> {
    let bytes = text.as_bytes();
    if bytes.len() != 10 || bytes[4] != b'-' || bytes[7] != b'-' {
        return None;
    }
    let part = |range: std::ops::Range<usize>| -> Option<u32> {
        let part = text.get(range)?;
        part.bytes()
            .all(|b| b.is_ascii_digit())
            .then(|| part.parse().ok())?
    };
    let date = NaiveDate::from_ymd_opt(part(0..4)? as i32, part(5..7)?, part(8..10)?)?;
    Some(date.num_days_from_ce() - 719_163)
}

/// Seconds since the epoch in the fewest fraction digits, at most 9, that read back to the same
/// double. `None` where nine are not enough or the year has no text.
pub fn instant_text(seconds: f64) -> Option<String> {
    let decimal = (0..=9)
        .map(|digits| format!("{seconds:.digits$}"))
        .find(|text| text.parse() == Ok(seconds))?;
    let (whole, fraction) = decimal.split_once('.').unwrap_or((&decimal, ""));
    let (mut whole, mut fraction) = (whole.parse::<i64>().ok()?, fraction.to_owned());
    if seconds < 0.0 && !fraction.is_empty() {
        // A fraction counts forward from the second before.
        let scale = 10_u64.pow(fraction.len() as u32);
        let forward = scale - fraction.parse::<u64>().ok()?;
        whole -= 1;
        fraction = format!("{forward:0width$}", width = fraction.len());
    }
    let t = Timestamp::from_micros(whole.checked_mul(1_000_000)?)?.text();
    let to_seconds = std::str::from_utf8(&t[..19]).expect("a time is ASCII");
    Some(match fraction.as_str() {
        "" => format!("{to_seconds}Z"),
        digits => format!("{to_seconds}.{digits}Z"),
    })
}

/// Reads what [`instant_text`] writes, correctly rounded.
pub fn parse_instant_seconds(text: &str) -> Option<f64> {
    let (seconds, fraction) = parse_instant(text)?;
    if fraction.len() > 9 {
        return None;
    }
    let scale = 10_i128.pow(fraction.len() as u32);
    let forward = if fraction.is_empty() {
        0
    } else {
        fraction.parse::<i128>().ok()?
    };
    let scaled = i128::from(seconds) * scale + forward;
    let sign = if scaled < 0 { "-" } else { "" };
    let (whole, rest) = (scaled.abs() / scale, scaled.abs() % scale);
    format!("{sign}{whole}.{rest:0width$}", width = fraction.len())
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_time_round_trips() {
        for text in [
            "2026-11-23T04:20:47.123456Z",
            "1969-12-31T23:59:59.999999Z",
            "0000-01-01T00:00:00.000000Z",
            "9999-12-31T23:59:59.999999Z",
        ] {
            let t = Timestamp::parse(text.as_bytes()).unwrap();
            assert_eq!(&t.text(), text.as_bytes());
        }
        let t = Timestamp::parse(b"2026-11-23T04:20:47.123456Z").unwrap();
        assert_eq!(&t.compact(), b"20261123-042047");
    }

    #[test]
    fn a_row_time_is_strict() {
        for bad in [
            "2026-11-23 04:20:47.123456Z",
            "2026-13-23T04:20:47.123456Z",
            "2026-02-30T04:20:47.123456Z",
            "2026-11-23T24:20:47.123456Z",
            "2026-11-23T04:20:60.123456Z",
            "2026-11-23T04:20:47.12345Z",
            "2026-11-23T04:20:47.+23456Z",
            "2026-11-23T04:+0:47.123456Z",
        ] {
            assert_eq!(Timestamp::parse(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn instants_use_the_fewest_digits() {
        assert_eq!(instant_text(0.0).unwrap(), "1970-01-01T00:00:00Z");
        assert_eq!(instant_text(-0.5).unwrap(), "1969-12-31T23:59:59.5Z");
        assert_eq!(instant_text(-1.0).unwrap(), "1969-12-31T23:59:59Z");
        assert_eq!(
            instant_text(1795407648.25).unwrap(),
            "2026-11-23T04:20:48.25Z"
        );
        assert_eq!(instant_text(1e-10), None);
        assert_eq!(instant_text(1e18), None);
        assert_eq!(instant_text(f64::NAN), None);
    }

    #[test]
    fn instants_read_back_to_the_same_double() {
        let mut state = 1_u64;
        for _ in 0..20_000 {
            state = state
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            let seconds = (state >> 11) as f64 / (1_u64 << 53) as f64 * 8e9 - 4e9;
            let seconds = format!("{seconds:.9}").parse::<f64>().unwrap();
            let text = instant_text(seconds).unwrap();
            assert_eq!(parse_instant_seconds(&text), Some(seconds), "{text}");
        }
    }

    #[test]
    fn days_round_trip() {
        for days in [-719_528, -1, 0, 20_780, 2_932_896] {
            assert_eq!(parse_day(&day_text(days).unwrap()), Some(days));
        }
        assert_eq!(day_text(0).unwrap(), "1970-01-01");
        assert_eq!(day_text(2_932_897), None);
        assert_eq!(day_text(i32::MAX), None);
        assert_eq!(parse_day("2026-1-023"), None);
    }
}
