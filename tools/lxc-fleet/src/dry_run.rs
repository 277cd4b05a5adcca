//! `--dry-run`: what would be done, told and not done.
//!
//! Each line is a command as a shell takes it, or, behind a `#`, a step that we take ourselves. Nothing is
//! locked, mounted, written or sent; what is there is looked at, so that only what is missing is told. The
//! commands come from where they are run.

use std::path::Path;
use std::time::Duration;

use breakit::exit::{Result, Status};
use breakit::jsonl;
use breakit::node::{LXCPATH, Name, names};
use breakit::program::{self, quote, show};
use breakit::size::{show_about, show_size};
use breakit::talk;

use crate::build;
use crate::cli::{DownArgs, UpArgs};
use crate::container::{self, Condition, Container, at_once, hosts_file};
use crate::disk;
use crate::ext4;
use crate::image::{Image, folder, label, not_in_use};
use crate::install::{Manager, Scripts};
use crate::launch;
use crate::network;
use crate::private;
use crate::root::{self, Root};
use crate::salvage;
use crate::state::{self, BASE, State};
use crate::store;
use crate::store_size::{Kind, Plan, StoreArgs};
use crate::up::plan;
use crate::walls;
use crate::which::{self, of_specs};

/// Lines that are told.
type Steps = Vec<String>;

fn tell(steps: &[String]) -> Result<Status> {
    if steps.is_empty() {
        talk::say("nothing would be done");
    }
    steps
        .iter()
        .try_for_each(|step| jsonl::print_for_people(&format!("{step}\n")))
        .map(|()| Status::Done)
}

fn path(path: &Path) -> String {
    quote(path)
}

fn ip(args: Vec<Vec<String>>) -> impl Iterator<Item = String> {
    args.into_iter().map(|args| format!("ip {}", args.join(" ")))
}

/// Tells `stop`.
///
/// # Errors
/// 69 where LXC is missing, 75 where it does not answer.
pub fn stop(containers: &[Container], patience: Duration) -> Result<Status> {
    let steps = container::all(at_once(containers, |container| {
        Ok(match container.condition()? {
            Condition::Stopped => None,
            _ => Some(show(&container.stop_command(patience)?)),
        })
    }))?;
    tell(&steps.into_iter().flatten().collect::<Steps>())
}

/// Tells `up`.
///
/// # Errors
/// What can be judged beforehand, as the real one.
pub fn up(args: &UpArgs) -> Result<Status> {
    let fleet = which::fleet()?;
    let specs: Vec<String> = args.nodes.iter().chain(&args.named).cloned().collect();
    program::find("lxc-start", "lxc")?;
    let before = state::load(&fleet)?;
    let plan = plan(&fleet, before.clone(), &names(&specs)?, args, Image::could_be_ready)?;

    let mut steps = opening(&args.store)?;
    let busybox = |container: &Container| container.member.image == "busybox";
    if plan.containers.iter().any(busybox) && label("busybox").is_none() {
        let made = folder().join("busybox");
        // What lies in a store that is not mounted cannot be seen.
        let perhaps = if steps.is_empty() { "" } else { ", where it is missing" };
        steps.push(format!("# make {} of the host's static busybox{perhaps}", made.display()));
    }
    if before.as_ref() != Some(&plan.state) {
        steps.push(format!("# remember the fleet in {BASE}/fleets/{fleet}.json"));
    }
    steps.extend(ip(network::making(&fleet, plan.state.subnet)));
    if plan.state.nat {
        let setting = network::sysctl(&network::bridge(&fleet), "forwarding");
        steps.push(format!("sysctl -w {setting}=1"));
    }
    steps.push(format!(
        "# what a node may send is in the tables bridge and inet {}: {}",
        network::table(&fleet),
        show(&walls::command()?)
    ));
    steps.push(format!("# write {}", hosts_file(&fleet).display()));
    steps.push(format!(
        "# make the control group breakit-{fleet}, with {} of memory",
        show_about(plan.state.memory())
    ));
    for container in &plan.containers {
        steps.extend(raising(&fleet, container)?);
    }
    steps.push(format!("# write {}/nodes.jsonl", state::run_dir(&fleet).display()));
    tell(&steps)
}

/// What opens the store.
fn opening(asked: &StoreArgs) -> Result<Steps> {
    let mut steps = Steps::new();
    let plan = store::to_make(asked)?;
    if store::is_mounted(&store::root())? {
        return Ok(steps);
    }
    if let Some(Plan { size, kind }) = plan {
        let (file, new) = (path(&store::file()), path(&store::draft()));
        steps.push(format!("mkdir -p -m 700 {BASE}"));
        steps.push(match kind {
            Kind::Reserved => format!("fallocate -l {size} {new}"),
            Kind::Sparse => format!("truncate -s {size} {new}"),
        });
        steps.push(format!("chmod 600 {new}"));
        steps.push(show(&store::mkfs_command(kind)?));
        steps.push(format!("mv {new} {file}"));
    }
    steps.push(format!("mkdir -p -m 700 {}", path(&store::root())));
    let kind = plan.map_or_else(store::kind, |plan| Ok(plan.kind))?;
    steps.push(show(&store::mount_command(kind)?));
    Ok(steps)
}

/// What makes one node run.
fn raising(fleet: &Name, container: &Container) -> Result<Steps> {
    let image = Image::parse(&container.member.image)?;
    let mut steps = Steps::new();
    if container.condition()? == Condition::Stopped {
        let files = container.files();
        let hidden = if image.shows_host() { ", and what hides the host's secrets" } else { "" };
        steps.push(format!("# make the folders of an overlay in {}{hidden}", files.display()));
        if let Some(size) = container.member.disk.filter(|_| !disk::file(&files).exists()) {
            let disk = path(&disk::file(&files));
            steps.push(format!("# make a filesystem of {} in {disk}", show_size(size)));
        }
        steps.push(format!("# write {}/config", container.config_dir().display()));
        // LXC joins the interface to the bridge.
        steps.extend(launching(&container.id(), &container.root(&image))?);
    } else {
        steps.extend(ip(network::joining(fleet, container.member.number).into_iter().collect()));
    }
    Ok(steps)
}

/// What mounts a root and starts its machine.
fn launching(id: &str, root: &Root) -> Result<Steps> {
    let mut steps = vec!["# in a mount namespace of the node's own:".to_string()];
    if root.ids.are_mapped() {
        let ids = root.ids.map();
        steps.push(format!("# show / and the image with the user ids of the node ({ids})"));
    }
    if root.on_disk {
        let (disk, place) = (disk::file(&root.files), disk::place(&root.files));
        steps.push(show(&ext4::mount(&disk, &place, "")?));
    }
    let options = root.options(&root::place());
    steps.push(format!("mount -t overlay -o nodev,{options} overlay {}", path(&root::place())));
    steps.push(show(&launch::start_command(id, false)?));
    Ok(steps)
}

/// Tells `down`.
///
/// # Errors
/// As the real one, for a node or a fleet that is not there or damaged.
pub fn down(args: &DownArgs) -> Result<Status> {
    let specs = args.which.specs();
    let mut steps = Steps::new();
    let mut left = state::fleets()?;
    let fleets = if args.all { left.clone() } else { vec![which::fleet()?] };
    for fleet in fleets {
        let Some(state) = salvage::load(&fleet)? else {
            talk::say(format!("fleet {fleet} is not up"));
            continue;
        };
        let containers =
            if specs.is_empty() { which::members(&fleet, &state) } else { of_specs(&specs)? };
        for container in &containers {
            steps.extend(felling(container)?);
        }
        if containers.len() == state.members.len() {
            steps.extend(last(&fleet, &state));
            left.retain(|other| *other != fleet);
        } else {
            steps.push(format!("# forget them in {BASE}/fleets/{fleet}.json"));
            steps.push(format!("# write {}", hosts_file(&fleet).display()));
            steps.push(format!("# write {}/nodes.jsonl", state::run_dir(&fleet).display()));
        }
    }
    if left.is_empty() && store::is_mounted(&store::root())? {
        steps.push(format!("umount {}", path(&store::root())));
    }
    tell(&steps)
}

/// What removes one node.
fn felling(container: &Container) -> Result<Steps> {
    let mut steps = Steps::new();
    if container.exists() && container.condition()? != Condition::Stopped {
        steps.push(show(&container.kill_command()?));
    }
    for folder in [container.files(), container.config_dir()] {
        if folder.exists() {
            steps.push(format!("rm -r {}", path(&folder)));
        }
    }
    Ok(steps)
}

/// What removes that which the nodes of a fleet shared.
fn last(fleet: &Name, state: &State) -> Steps {
    let mut steps: Steps = ip(network::removing(fleet, state.subnet)).collect();
    let run = state::run_dir(fleet);
    steps.push(format!("# remove the control group breakit-{fleet}"));
    let table = network::table(fleet);
    steps.push(format!("nft 'delete table bridge {table}; delete table inet {table}'"));
    steps.push(format!("rm -rf {}", path(&store::fleet_dir(fleet))));
    steps.push(format!("rm -f {}", path(&hosts_file(fleet))));
    steps.push(format!("# remove {LXCPATH} where nothing else is in it"));
    steps.push(format!("rm -f {BASE}/fleets/{fleet}.json {}", path(&run.join("nodes.jsonl"))));
    steps.push(format!("rmdir {}", path(&run)));
    steps.push(format!("rmdir {}", path(&private::locks().join(fleet.as_str()))));
    steps
}

/// Tells `image NAME`.
///
/// # Errors
/// As the real one, as far as can be judged beforehand: what the package manager finds is not asked.
pub fn image(
    name: &str,
    packages: &[String],
    scripts: Scripts,
    store: &StoreArgs,
) -> Result<Status> {
    let (name, packages) = build::checked(name, packages)?;
    let manager = Manager::of_host()?;
    program::find("unshare", "util-linux")?;
    let mounted = store::is_mounted(&store::root())?;
    if let Some(label) = label(name.as_str()) {
        if label.packages == packages {
            talk::say(format!("image {name} is there already, with {}", packages.join(", ")));
            return Ok(Status::Done);
        }
        not_in_use(name.as_str())?;
    }
    let site = folder().join(".build-PID");
    let mut steps = opening(store)?;
    steps.push(format!(
        "# make the folders of an overlay in {}, and the layers of what it sees of the host",
        site.display()
    ));
    steps.push(
        "# in a mount and a pid namespace of their own, with /proc, /dev, /run and /tmp:".into(),
    );
    steps.push(format!("# mount what others may read of the host at {}/host", site.display()));
    steps.push(format!(
        "mount -t overlay -o {} overlay {}",
        build::root(&site, build::ids_of(scripts)).options(&site.join("root")),
        path(&site.join("root"))
    ));
    let words: Vec<String> = packages.iter().map(quote).collect();
    steps.push(format!(
        "chroot {} {} {}",
        path(&site.join("root")),
        manager.command(scripts),
        words.join(" ")
    ));
    steps.push("# where that fails: apt-get update, and once more".into());
    if scripts == Scripts::AsNode {
        steps.push(
            "# install what was downloaded in a machine as a node is, without a network".into(),
        );
    }
    steps.push(format!(
        "# write {}/image.json, and keep of the folder that and upper alone",
        site.display()
    ));
    steps.push(format!("mv {} {}", path(&site), path(&folder().join(name.as_str()))));
    if !mounted && state::fleets()?.is_empty() {
        steps.push(format!("umount {}", path(&store::root())));
    }
    tell(&steps)
}
