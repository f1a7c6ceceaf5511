//! Secrets at rest, in `Debug`, in errors and in what is logged: none is there to be read.

use std::fmt::{self, Debug, Write as _};
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};
use weald::transport::memory::MemoryNetwork;
use weald::{
    DeviceError, Instance, KeyVault, KeyVaultError, OpenError, PasswordCost, User, Zeroizing,
};
use weald_dag::SecretKey;

use super::{demo, in_memory, light, open, within};
use crate::common::push;

const PASSWORD: &str = "a password that is nowhere else";

/// Returns the seed of each key of a user.
fn seeds(user: &User) -> Vec<Vec<u8>> {
    let seed = |key: weald::UserKey| {
        let words = user.export_key_clear(&key.key).unwrap().words();
        let (seed, length) = bip39::Mnemonic::parse_in_normalized(bip39::Language::English, &words)
            .unwrap()
            .to_entropy_array();
        seed[..length].to_vec()
    };
    user.keys().into_iter().map(seed).collect()
}

fn holds(bytes: &[u8], secret: &[u8]) -> bool {
    bytes.windows(secret.len()).any(|part| part == secret)
}

fn assert_nowhere(dir: &Path, secrets: &[Vec<u8>]) {
    let mut searched = 0;
    for file in fs::read_dir(dir).unwrap() {
        let bytes = fs::read(file.unwrap().path()).unwrap();
        searched += bytes.len();
        for secret in secrets {
            let half = &secret[..secret.len().min(16)];
            assert!(!holds(&bytes, half), "a secret is in the clear at rest");
        }
    }
    assert!(searched > 10_000, "the store was searched");
}

#[test]
fn no_private_key_and_no_password_is_in_the_files_of_a_store() {
    let dir = tempfile::tempdir().unwrap();
    let instance = open(dir.path());
    let alice = instance.create_user("alice", Some(PASSWORD)).unwrap();
    let bob = instance.create_user("bob", None).unwrap();
    alice.add_private_key(Some("second")).unwrap();
    let rotated = alice.rotate_key(&alice.default_key()).unwrap();
    let room = alice.create_database(demo()).unwrap();
    push(&room, "hello");
    let mut secrets = [seeds(&alice), seeds(&bob)].concat();
    assert_eq!(secrets.len(), 4);
    secrets.push(PASSWORD.as_bytes().to_vec());
    alice.change_password(Some(PASSWORD), Some("another password that is nowhere")).unwrap();
    secrets.push(b"another password that is nowhere".to_vec());
    bob.change_password(None, Some(PASSWORD)).unwrap();
    alice.export_key(&rotated.key, PASSWORD).unwrap();
    drop((room, alice, bob, instance));
    assert_nowhere(dir.path(), &secrets);
}

#[test]
fn entries_hold_no_sealed_secret_so_none_outlives_a_change() {
    let dir = tempfile::tempdir().unwrap();
    let instance = open(dir.path());
    let alice = instance.create_user("alice", Some(PASSWORD)).unwrap();
    for _ in 0..3 {
        alice.change_password(Some(PASSWORD), Some(PASSWORD)).unwrap();
    }
    drop((alice, instance));
    // Sealed secrets are in the vault: one row for the user, one for each key, whatever happened.
    use std::ops::ControlFlow;
    use weald_dag::{KeyRange, Order, Space, Store};
    let store = weald_store::RedbStore::open(dir.path(), weald_store::Options::default()).unwrap();
    let mut rows = 0;
    let snapshot = store.snapshot().unwrap();
    snapshot
        .range(Space::new("vault", 0), KeyRange::all(), Order::Ascending, &mut |_, _| {
            rows += 1;
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(rows, 2);
}

#[derive(Clone, Default)]
struct Memory(Arc<Mutex<Option<Zeroizing<[u8; 32]>>>>);

impl KeyVault for Memory {
    fn load(&self) -> Result<Option<Zeroizing<[u8; 32]>>, KeyVaultError> {
        Ok(self.0.lock().unwrap().clone())
    }

    fn store(&self, secret: &[u8; 32]) -> Result<(), KeyVaultError> {
        *self.0.lock().unwrap() = Some(Zeroizing::new(*secret));
        Ok(())
    }
}

struct Locked;

impl KeyVault for Locked {
    fn load(&self) -> Result<Option<Zeroizing<[u8; 32]>>, KeyVaultError> {
        Err(KeyVaultError::new("the keyring is locked"))
    }

    fn store(&self, _: &[u8; 32]) -> Result<(), KeyVaultError> {
        Err(KeyVaultError::new("the keyring is locked"))
    }
}

#[test]
fn a_vault_of_the_app_takes_the_place_of_the_file() {
    let (dir, vault) = (tempfile::tempdir().unwrap(), Memory::default());
    let with = |vault: Memory| Instance::builder(dir.path()).key_vault(vault);
    let instance = light(with(vault.clone()));
    let device = instance.device_key();
    instance.create_user("alice", None).unwrap();
    drop(instance);
    assert!(!dir.path().join("device.secret").exists());
    assert!(vault.0.lock().unwrap().is_some());
    let empty = with(Memory::default()).open().map(drop);
    assert!(matches!(empty, Err(OpenError::Device(DeviceError::VaultEmpty))), "{empty:?}");
    let other = Memory::default();
    other.store(&[7; 32]).unwrap();
    let wrong = with(other.clone()).open().map(drop);
    assert!(matches!(wrong, Err(OpenError::Device(DeviceError::VaultWrong))), "{wrong:?}");
    assert_eq!(other.0.lock().unwrap().as_deref(), Some(&[7; 32]), "nothing is overwritten");
    let locked = Instance::builder(dir.path()).key_vault(Locked).open().map(drop);
    assert!(matches!(locked, Err(OpenError::Device(DeviceError::Vault(_)))), "{locked:?}");
    let without = Instance::open(dir.path()).map(drop);
    assert!(matches!(without, Err(OpenError::Device(DeviceError::Missing { .. }))), "{without:?}");
    let instance = light(with(vault));
    assert_eq!(instance.device_key(), device);
    instance.login_user("alice", None).unwrap();
    // A store that was made with a file keeps to it.
    let filed = tempfile::tempdir().unwrap();
    let device = open(filed.path()).device_key();
    let vault = Memory::default();
    let again = light(Instance::builder(filed.path()).key_vault(vault.clone()));
    assert_eq!(again.device_key(), device);
    assert!(vault.0.lock().unwrap().is_none());
}

/// All forms in which a secret could show.
fn forms(secret: &[u8]) -> Vec<String> {
    let hex: String = secret.iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").unwrap();
        hex
    });
    let list = format!("{secret:?}");
    let base32 = data_encoding::BASE32_NOPAD.encode(secret);
    // Some of it is as bad as all of it.
    vec![
        hex[..16].to_owned(),
        list[1..list.len() - 1].split(", ").take(6).collect::<Vec<_>>().join(", "),
        base32[..12].to_owned(),
        base32[..12].to_lowercase(),
    ]
}

fn assert_tells_nothing(shown: &str, secrets: &[Vec<u8>]) {
    for form in secrets.iter().flat_map(|secret| forms(secret)) {
        assert!(!shown.contains(&form), "a secret shows");
    }
    assert!(!shown.contains(PASSWORD) && !shown.contains("wealdkey1"), "a secret shows");
}

/// Makes what crates below hold secrets in.
fn below(
    secret: &SecretKey,
    seed: [u8; 32],
) -> (weald_engine::Commit, weald_engine::Founding, weald_sync::SessionOptions) {
    let key = Arc::new(secret.clone());
    let commit = weald_engine::Commit {
        database: 1,
        key: Arc::clone(&key),
        sections: vec![("notes".to_owned(), b"hello".to_vec())],
        required: Vec::new(),
    };
    let founding =
        weald_engine::Founding { key, nonce: [0; 16], operations: Vec::new(), system: false };
    let options = weald_sync::SessionOptions {
        role: weald_sync::Role::Dialler,
        device: secret.clone(),
        name: String::new(),
        expected_peer: None,
        channel_binding: None,
        seed,
        plain: false,
        health_every: None,
    };
    (commit, founding, options)
}

#[test]
fn debug_and_errors_of_everything_with_a_secret_show_none() {
    let seed = [0xa7; 32];
    let instance = in_memory();
    let alice = instance.create_user("alice", Some(PASSWORD)).unwrap();
    let mut secrets = seeds(&alice);
    secrets.push(seed.to_vec());
    let room = alice.create_database(demo()).unwrap();
    let sync = instance.enable_sync().unwrap();
    let secret = SecretKey::from_seed(&seed);
    let phrase = alice.export_key_clear(&alice.default_key()).unwrap();
    let words: Vec<_> = phrase.words().split(' ').map(str::to_owned).collect();
    let cost = PasswordCost::default();
    let builder = Instance::in_memory_builder().key_vault(Memory::default()).password_cost(cost);
    let transaction = room.begin().unwrap();
    let (commit, founding, options) = below(&secret, seed);
    let values: [&dyn Debug; 14] = [
        &instance,
        &alice,
        &alice.keys(),
        &room,
        &room.settings(),
        &sync,
        &sync.ticket(&room),
        &secret,
        &phrase,
        &builder,
        &transaction,
        &commit,
        &founding,
        &options,
    ];
    let mut shown = String::new();
    for value in values {
        writeln!(shown, "{value:?} {value:#?}").unwrap();
    }
    // One word is none of the list, so it is broken whatever the key.
    let broken = format!("{} wealdish", words[..words.len() - 1].join(" "));
    let cut = phrase.text()[..50].to_owned();
    let errors: [weald::UserError; 5] = [
        instance.login_user("alice", Some(&PASSWORD.to_uppercase())).map(drop).unwrap_err(),
        alice.import_key(&broken, None, None).unwrap_err(),
        alice.import_key(&cut, None, None).unwrap_err(),
        alice.import_key(&phrase.words(), Some(PASSWORD), None).unwrap_err(),
        alice.import_key(&phrase.words(), None, None).unwrap_err(),
    ];
    for error in errors {
        writeln!(shown, "{error} {error:?}").unwrap();
    }
    assert_tells_nothing(&shown, &secrets);
    assert!(!shown.contains(&PASSWORD.to_uppercase()));
    assert!(!shown.contains(&format!("{} {}", words[0], words[1])), "words show");
    assert!(!shown.contains(&phrase.text()[9..25]), "a key shows");
}

/// Keeps all that is logged, whatever its level, as text.
#[derive(Clone, Default)]
struct Logged(Arc<Mutex<String>>);

struct Line<'a>(&'a mut String);

impl Visit for Line<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        write!(self.0, "{}={value:?} ", field.name()).unwrap();
    }
}

impl Subscriber for Logged {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        span.record(&mut Line(&mut self.0.lock().unwrap()));
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, values: &Record<'_>) {
        values.record(&mut Line(&mut self.0.lock().unwrap()));
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut logged = self.0.lock().unwrap();
        event.record(&mut Line(&mut logged));
        logged.push('\n');
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[tokio::test]
async fn what_is_logged_holds_no_secret() {
    let logged = Logged::default();
    // For all threads of this process, as secrets are used on several.
    tracing::subscriber::set_global_default(logged.clone()).unwrap();
    let (dir, network) = (tempfile::tempdir().unwrap(), MemoryNetwork::new());
    let instance = open(dir.path());
    let alice = instance.create_user("alice", Some(PASSWORD)).unwrap();
    instance.login_user("alice", Some("wrong")).map(drop).unwrap_err();
    let exported = alice.export_key(&alice.default_key(), PASSWORD).unwrap();
    let phrase = alice.export_key_clear(&alice.default_key()).unwrap();
    let there = in_memory();
    let bob = there.create_user("bob", None).unwrap();
    bob.import_key(&exported, Some("wrong"), None).unwrap_err();
    bob.import_key(&exported, Some(PASSWORD), None).unwrap();
    alice.rotate_key(&alice.default_key()).unwrap();
    let room = alice.create_database(demo()).unwrap();
    let (sync, bobs) = (instance.enable_sync().unwrap(), there.enable_sync().unwrap());
    sync.register_transport("wires", network.transport("alice"));
    within("serving", sync.accept_connections()).await.unwrap();
    bobs.register_transport("wires", network.transport("bob"));
    within("joining", bobs.join(&bob, &sync.ticket(&room))).await.unwrap();
    let secrets = [seeds(&alice), seeds(&bob)].concat();
    instance.close();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let file = dir.path().join("device.secret");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        drop(Instance::open(dir.path()).unwrap());
    }
    let logged = logged.0.lock().unwrap().clone();
    assert!(logged.contains("open to others"), "something is logged: {logged}");
    assert_tells_nothing(&logged, &secrets);
    assert!(!logged.contains(&exported[..30]) && !logged.contains(&phrase.text()[9..25]));
}
