//! A PostgreSQL server with its data and its socket in a folder.

use std::{
    fs::File,
    os::unix::fs::chown,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use nix::{
    sys::signal::Signal,
    unistd::{Uid, User},
};
use tokio::task::spawn;
use tokio_postgres::{Client, NoTls};

use crate::{
    child::{Running, as_nobody},
    tool::Tools,
};

const LIMIT: Duration = Duration::from_secs(60);

pub(crate) struct Database {
    server: Option<Running>,
    program: PathBuf,
    setpriv: PathBuf,
    place: PathBuf,
}

impl Database {
    pub(crate) fn start(tools: &Tools, place: &Path) -> Self {
        if Uid::effective().is_root() {
            let nobody = User::from_name("nobody").unwrap().expect("there is a nobody");
            chown(place, Some(nobody.uid.as_raw()), Some(nobody.gid.as_raw())).unwrap();
        }
        let mut initdb = as_nobody(&tools.setpriv, Signal::SIGKILL, &tools.initdb);
        initdb.args(["-D", "data", "-U", "postgres", "--auth=trust", "--no-sync"]);
        initdb.args(["--encoding=UTF8", "--locale=C"]);
        let mut initdb = Running::start(in_place(initdb, place), Signal::SIGKILL);
        let ended = initdb.end(LIMIT).expect("the database is made in time");
        assert!(ended.success(), "{}", said(place));
        let mut database = Self {
            server: None,
            program: tools.postgres.clone(),
            setpriv: tools.setpriv.clone(),
            place: place.to_owned(),
        };
        database.run();
        database
    }

    pub(crate) fn run(&mut self) {
        let mut command = as_nobody(&self.setpriv, Signal::SIGQUIT, &self.program);
        command.args(["-D", "data", "-c", "listen_addresses=", "-c", "max_connections=60"]);
        // No test covers a power loss, so the disk is spared.
        command.args(["-c", "fsync=off", "-k"]).arg(&self.place);
        let command = in_place(command, &self.place);
        // SIGQUIT is the fastest stop that releases the shared memory.
        self.server = Some(Running::start(command, Signal::SIGQUIT));
    }

    /// Stops the server and closes all its connections.
    pub(crate) fn stop(&mut self) {
        self.server = None;
    }

    /// Returns the connection string.
    pub(crate) fn words(&self) -> String {
        format!("host={} user=postgres", self.place.display())
    }

    /// Connects, as soon as the server accepts connections.
    #[expect(
        clippy::disallowed_methods,
        reason = "it ends with the client, or with the test's runtime"
    )]
    pub(crate) async fn connect(&self) -> Client {
        let connected = async {
            loop {
                match tokio_postgres::connect(&self.words(), NoTls).await {
                    Ok(connected) => break connected,
                    Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
                }
            }
        };
        let connected = tokio::time::timeout(LIMIT, connected).await;
        let Ok((client, connection)) = connected else { panic!("{}", said(&self.place)) };
        spawn(connection);
        client
    }
}

fn in_place(mut command: Command, place: &Path) -> Command {
    let log = File::options().append(true).create(true).open(place.join("database.log")).unwrap();
    command.current_dir(place).env("TZ", "UTC").stdin(Stdio::null());
    command.stdout(log.try_clone().unwrap()).stderr(log);
    command
}

fn said(place: &Path) -> String {
    std::fs::read_to_string(place.join("database.log")).unwrap_or_default()
}
