//! A concurrent trace on real instances, one for each who typed: each holds exactly what it had seen
//! when it edits.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use weald::{Database, DatabaseId, Instance, Parcel, Verdict};

use crate::sample;
use crate::text::STORE;
use crate::trace::{Patch, Step, Trace};

/// How many steps that follow each other make one entry at most.
const BATCH: usize = 100;

/// Somebody who types, and which steps have come.
struct Person {
    instance: Instance,
    database: Database,
    has: Vec<bool>,
}

/// Steps that nobody saw a part of: one entry.
struct Chapter {
    agent: usize,
    parents: Vec<usize>,
    steps: std::ops::Range<usize>,
}

/// Everybody who typed, and one who only reads.
pub(crate) struct Meeting {
    people: Vec<Person>,
    agents: Vec<usize>,
    parcels: Vec<Parcel>,
    path: PathBuf,
    id: DatabaseId,
}

impl Meeting {
    /// Replays a trace; at the end everybody gets the rest, each in another order.
    pub(crate) fn replay(trace: &Trace, folder: &Path) -> Result<Self> {
        let chapters = chapters(&trace.steps);
        let path = folder.join("0");
        let (instance, database) = sample::database(&path)?;
        let id = database.id();
        let first = Person { instance, database, has: vec![false; chapters.len()] };
        let (people, agents, parcels) = (vec![first], vec![0], Vec::new());
        let mut meeting = Self { people, agents, parcels, path, id };
        for (number, chapter) in chapters.iter().enumerate() {
            let seen = ancestors(&chapters, &chapter.parents);
            let person = meeting.person_for(chapter.agent, &seen, folder)?;
            meeting.deliver(person, &missing(&meeting.people, person, &seen))?;
            meeting.edit(person, number, trace.steps.get(chapter.steps.clone()).unwrap_or(&[]))?;
        }
        // One who was not there gets all of it at once.
        let reader = meeting.join(usize::MAX, folder, chapters.len())?;
        let orders = [(0..chapters.len()).collect(), from_the_end(&chapters)];
        for person in 0..meeting.people.len() {
            let order: &Vec<usize> = orders
                .get(usize::from(person % 2 == 1 || person == reader))
                .context("two orders")?;
            let has = meeting.people.get(person).map(|person| person.has.clone());
            let has = has.unwrap_or_default();
            let rest: Vec<usize> =
                order.iter().copied().filter(|step| has.get(*step) == Some(&false)).collect();
            meeting.deliver(person, &rest)?;
        }
        Ok(meeting)
    }

    /// Finds an instance of an agent that holds nothing beside what it has seen, or starts one.
    fn person_for(&mut self, agent: usize, seen: &[bool], folder: &Path) -> Result<usize> {
        let fits = |person: &Person| person.has.iter().zip(seen).all(|(has, seen)| !has || *seen);
        let mut found = self.people.iter().zip(&self.agents).enumerate();
        match found.find(|(_, (person, of))| **of == agent && fits(person)) {
            Some((place, _)) => Ok(place),
            None => self.join(agent, folder, seen.len()),
        }
    }

    fn join(&mut self, agent: usize, folder: &Path, steps: usize) -> Result<usize> {
        let place = self.people.len();
        let instance = Instance::open(folder.join(place.to_string()))?;
        let user = instance.create_user("bench", None)?;
        let first = self.people.first().context("somebody has begun")?;
        let root = first.database.parcels(0, 1)?;
        instance.ingest(first.instance.device_key(), self.id, root)?;
        instance.mark_complete(self.id)?;
        let database = user.open_database(&self.id)?;
        self.people.push(Person { instance, database, has: vec![false; steps] });
        self.agents.push(agent);
        Ok(place)
    }

    fn deliver(&mut self, to: usize, steps: &[usize]) -> Result<()> {
        if steps.is_empty() {
            return Ok(());
        }
        let parcels = steps.iter().filter_map(|step| self.parcels.get(*step)).cloned().collect();
        let person = self.people.get_mut(to).context("nobody is there")?;
        let from = person.instance.device_key();
        for (id, verdict) in person.instance.ingest(from, self.id, parcels)? {
            if !matches!(verdict, Verdict::Stored(_)) {
                bail!("entry {id} was not stored: {verdict:?}");
            }
        }
        for step in steps {
            if let Some(has) = person.has.get_mut(*step) {
                *has = true;
            }
        }
        Ok(())
    }

    fn edit(&mut self, place: usize, number: usize, steps: &[Step]) -> Result<()> {
        let person = self.people.get_mut(place).context("nobody is there")?;
        person.database.write(|tx| {
            let mut text = tx.text(STORE)?;
            for Patch(at, deleted, inserted) in steps.iter().flat_map(|step| &step.patches) {
                text.splice(*at..at + deleted, inserted)?;
            }
            Ok(())
        })?;
        let newest = person.database.entry_count()? - 1;
        let parcel = person.database.parcels(newest, 1)?.pop().context("the entry is gone")?;
        self.parcels.push(parcel);
        if let Some(has) = person.has.get_mut(number) {
            *has = true;
        }
        Ok(())
    }

    /// Returns everybody's text.
    pub(crate) fn texts(&self) -> Result<Vec<String>> {
        self.people.iter().map(|person| Ok(person.database.text(STORE)?.read()?)).collect()
    }

    /// Returns whether everybody's state has the same digest.
    pub(crate) fn agree(&self) -> Result<bool> {
        let digests = self.people.iter().map(|person| person.database.state_digest());
        let digests = digests.collect::<Result<Vec<_>, _>>()?;
        Ok(digests.iter().zip(digests.iter().skip(1)).all(|(one, next)| one == next))
    }

    /// Closes all, and returns where the first one's file is.
    pub(crate) fn close(self) -> (DatabaseId, PathBuf) {
        for Person { instance, database, .. } in self.people {
            drop(database);
            instance.close();
        }
        (self.id, self.path)
    }
}

/// Joins steps of one agent that follow each other and of which nobody saw a part.
fn chapters(steps: &[Step]) -> Vec<Chapter> {
    let mut children = vec![0_usize; steps.len()];
    for parent in steps.iter().flat_map(|step| &step.parents) {
        if let Some(count) = children.get_mut(*parent) {
            *count += 1;
        }
    }
    let mut chapters: Vec<Chapter> = Vec::new();
    let mut of_step = Vec::with_capacity(steps.len());
    for (number, step) in steps.iter().enumerate() {
        let follows =
            number > 0 && step.parents == [number - 1] && children.get(number - 1) == Some(&1);
        match chapters.last_mut() {
            Some(last) if follows && last.agent == step.agent && last.steps.len() < BATCH => {
                last.steps.end = number + 1;
            }
            _ => {
                let parents = step.parents.iter().filter_map(|parent| of_step.get(*parent));
                let parents = parents.copied().collect();
                chapters.push(Chapter { agent: step.agent, parents, steps: number..number + 1 });
            }
        }
        of_step.push(chapters.len() - 1);
    }
    chapters
}

/// Returns which chapters these are, or descend from.
fn ancestors(chapters: &[Chapter], of: &[usize]) -> Vec<bool> {
    let mut seen = vec![false; chapters.len()];
    let mut left = of.to_vec();
    while let Some(next) = left.pop() {
        if let Some(seen) = seen.get_mut(next).filter(|seen| !**seen) {
            *seen = true;
            left.extend(chapters.get(next).iter().flat_map(|chapter| &chapter.parents));
        }
    }
    seen
}

fn missing(people: &[Person], person: usize, seen: &[bool]) -> Vec<usize> {
    let Some(person) = people.get(person) else { return Vec::new() };
    let both = person.has.iter().zip(seen).enumerate();
    both.filter(|(_, (has, seen))| **seen && !**has).map(|(step, _)| step).collect()
}

/// Returns all chapters, parents first, otherwise as far from the order in the file as can be.
fn from_the_end(chapters: &[Chapter]) -> Vec<usize> {
    let mut order = Vec::with_capacity(chapters.len());
    let mut done = vec![false; chapters.len()];
    for end in (0..chapters.len()).rev() {
        let mut left = vec![end];
        while let Some(next) = left.last().copied() {
            let parents = chapters.get(next).map_or(&[][..], |chapter| &chapter.parents);
            let open = parents.iter().copied().find(|parent| done.get(*parent) == Some(&false));
            match open {
                Some(parent) => left.push(parent),
                None => {
                    left.pop();
                    if let Some(done) = done.get_mut(next).filter(|done| !**done) {
                        *done = true;
                        order.push(next);
                    }
                }
            }
        }
    }
    order
}
