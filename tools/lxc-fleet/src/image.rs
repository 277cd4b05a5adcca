//! Images: what a node is made of, and which layers there are.
//!
//! | module | what it holds |
//! |---|---|
//! | [`layers`] | which layers there are |
//! | [`build`] | building a layer of packages, once |
//! | [`install`] | installing packages into it |
//! | [`afresh`] | which packages that the host has a layer needs once more, as the mask hides what they brought |
//! | [`busybox`] | the tiny root for hosts whose own will not do |
//! | [`chroot`] | no fleet from within a chroot |

pub mod afresh;
pub mod build;
pub mod busybox;
pub mod chroot;
pub mod install;
pub mod layers;

use std::fs;
use std::path::Path;

use breakit::exit::{Error, Result, Status};
use breakit::jsonl;
use breakit::node::Name;
use serde_json::json;

use crate::fleet::state;
use crate::image::layers::{built, folder, label, not_in_use};
use crate::node::ids::Ids;
use crate::node::root::{Layer, Root};
use crate::places;
use crate::store;
use crate::store::mounts;
use crate::store::remove::remove_tree;

/// What a node is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Image {
    /// The host's own root.
    Host,
    /// A tiny root of its own.
    Busybox,
    /// A layer over the host's root.
    Layer(Name),
}

impl Image {
    /// Reads an image's name.
    ///
    /// # Errors
    /// 64 for what is no name.
    pub fn parse(text: &str) -> Result<Image> {
        Ok(match text {
            "host" => Image::Host,
            "busybox" => Image::Busybox,
            _ => Image::Layer(image_name(text)?),
        })
    }

    /// Whether it lies over the host's root, so that a mask is needed.
    pub fn shows_host(&self) -> bool {
        !matches!(self, Image::Busybox)
    }

    /// Makes sure that it is there. The store is open.
    ///
    /// # Errors
    /// 66 for a layer that was never built; 69 where busybox is missing.
    pub fn ready(&self) -> Result<()> {
        match self {
            Image::Host => Ok(()),
            Image::Busybox => busybox::make(),
            Image::Layer(name) if label(name.as_str()).is_some() => Ok(()),
            Image::Layer(name) => Err(Error::no_input(format!(
                "no image {name}; there are {}; build it with lxc-fleet image {name} --packages A,B",
                ["host".to_string(), "busybox".into()]
                    .into_iter()
                    .chain(built()?)
                    .collect::<Vec<_>>()
                    .join(", ")
            ))),
        }
    }

    /// As [`Image::ready`], and nothing is made: whether it could be there. What lies in a store that is not
    /// mounted cannot be seen.
    ///
    /// # Errors
    /// As there.
    pub fn could_be_ready(&self) -> Result<()> {
        match self {
            Image::Busybox if label("busybox").is_none() => busybox::program().map(drop),
            Image::Layer(_)
                if !places::store_file().exists() || mounts::is_mounted(&places::store())? =>
            {
                self.ready()
            }
            _ => Ok(()),
        }
    }

    /// The root of a node that has these `ids` and its own files in `files`.
    ///
    /// The host lies beneath the layer: what a package brings is seen, what the host has there is not.
    pub fn root(&self, files: &Path, ids: Ids) -> Root {
        let bare = Layer { path: files.join("bare"), ids };
        let layers = match self {
            Image::Host => vec![bare],
            Image::Busybox => vec![bare, layer("busybox")],
            Image::Layer(name) => vec![layer(name.as_str()), bare],
        };
        Root { layers, on_host: self.shows_host(), files: files.to_path_buf(), ids, on_disk: false }
    }
}

/// An image's name.
///
/// # Errors
/// 64 for what is no name.
pub fn image_name(text: &str) -> Result<Name> {
    Name::new(text).map_err(|_| {
        Error::usage(format!(
            "{:?} is no image name; take up to 63 letters, digits, '-', '_' or '.', a letter or digit first",
            text.chars().take(80).collect::<String>()
        ))
    })
}

fn layer(name: &str) -> Layer {
    let ids = label(name).map(|label| label.ids).unwrap_or_default();
    Layer { path: folder().join(name).join("upper"), ids }
}

/// Lists the images, as a table or as JSON lines.
///
/// # Errors
/// As the store's.
pub fn list(as_json: bool) -> Result<Status> {
    let labels = {
        let _all = state::lock_all()?;
        let mut labels = Vec::new();
        if places::store_file().exists() {
            store::open_existing()?;
            for name in built()? {
                labels.extend(label(&name).map(|label| (name, label)));
            }
            store::release()?;
        }
        labels
    };
    for (name, label) in labels {
        match as_json {
            true => {
                jsonl::print(&json!({ "image": name, "packages": label.packages }).to_string())?
            }
            false => jsonl::print_for_people(&format!("{name}\t{}\n", label.packages.join(",")))?,
        }
    }
    Ok(Status::Done)
}

/// Removes images.
///
/// # Errors
/// 66 for an image that is not there, 71 for one in use.
pub fn remove(names: &[String]) -> Result<Status> {
    let _all = state::lock_all()?;
    let names = names.iter().map(|name| image_name(name)).collect::<Result<Vec<_>>>()?;
    if places::store_file().exists() {
        store::open_existing()?;
    }
    let mut errors = Vec::new();
    for name in &names {
        errors.extend(remove_one(name.as_str()).err());
    }
    errors.extend(store::release().err());
    Error::all(errors).map(|()| Status::Done)
}

fn remove_one(name: &str) -> Result<()> {
    if name == "host" {
        return Err(Error::usage("the image host is this host's own root; it cannot be removed"));
    }
    let place = folder().join(name);
    if label(name).is_none() {
        return Err(Error::no_input(format!("no image {name}; see lxc-fleet image ls")));
    }
    not_in_use(name)?;
    // Under another name first: what is removed half is no image any more.
    let away = folder().join(format!(".removed-{}-{name}", std::process::id()));
    fs::rename(&place, &away).map_err(|e| Error::io(format!("remove the image {name}"), &e))?;
    remove_tree(&away)
}

/// Removes every image, and the store's file.
///
/// # Errors
/// 71 where a fleet still uses it.
pub fn remove_all() -> Result<Status> {
    let _all = state::lock_all()?;
    store::remove().map(|()| Status::Done)
}
