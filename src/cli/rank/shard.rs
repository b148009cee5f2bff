//! One of several runs that share the work.

use std::str::FromStr;

/// Run `number` of `count`, counted from one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    number: usize,
    count: usize,
}

impl Shard {
    /// Every `count`-th of the files.
    pub fn of(self, files: Vec<String>) -> Vec<String> {
        files.into_iter().skip(self.number - 1).step_by(self.count).collect()
    }

    /// What its file of the cache is called after.
    pub fn part(self) -> String {
        format!("{}-of-{}", self.number, self.count)
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once('/').and_then(|(number, count)| {
            Some(Self { number: number.parse().ok()?, count: count.parse().ok()? })
        });
        parts
            .filter(|it| (1..=it.count).contains(&it.number))
            .ok_or_else(|| "is no part, such as 1/8, the first of eight".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_share_all_files() {
        let files: Vec<String> = (0..10).map(|it| it.to_string()).collect();
        let shards = ["1/3", "2/3", "3/3"].map(|it| it.parse::<Shard>().unwrap());
        let mut all: Vec<String> = shards.iter().flat_map(|it| it.of(files.clone())).collect();
        all.sort_unstable();
        assert_eq!(all, files);
        for wrong in ["0/3", "4/3", "1", "1/0", "a/b", "-1/3"] {
            assert!(wrong.parse::<Shard>().is_err(), "{wrong}");
        }
    }
}
