//! Which file of a crate uses which other file.
//!
//! 1. Only code that a build without `cfg(test)` compiles is read. Otherwise a test module, which may use
//!    everything, would close a cycle that no user's build has.
//! 2. A path leads to the file that defines the item, and to each file that re-exports it on the way. Otherwise a
//!    re-export would hide a cycle.
//! 3. `mod child;` and `pub use child::Item;` in the child's parent are no imports, but code of the parent that
//!    uses its re-exports is one.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{Delimiter, Ident, Span, TokenStream, TokenTree};
use syn::{
    Attribute, Item, ItemMod, ItemUse, Macro, Meta, Path, Token, UseTree, Visibility,
    parse::Parser,
    punctuated::Punctuated,
    visit::{self, Visit},
};

/// The root of every crate, which re-exports the API and may import everything.
pub(super) const ROOT: &str = "lib.rs";

/// An import by one file from another.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Import {
    pub(super) from: String,
    pub(super) line: usize,
    pub(super) to: String,
    /// The path as written in the source.
    pub(super) path: String,
}

#[derive(Default)]
pub(super) struct Imports {
    /// Sorted by file and line, with each pair of a path and a target once per file.
    pub(super) all: Vec<Import>,
    /// Those that name a re-export of the root; `to` is the owner, or the root if another crate owns it.
    pub(super) through_root: Vec<Import>,
    /// The files that are compiled without `cfg(test)`.
    pub(super) files: BTreeSet<String>,
    /// The files that no `mod` declares.
    pub(super) orphans: Vec<String>,
}

/// Reads the imports of a crate: its files by their path relative to the source directory, with `/`.
pub(super) fn read(files: &BTreeMap<String, syn::File>) -> Imports {
    let mut reader = Reader::new(files);
    reader.read_file(ROOT, None);
    reader.finish()
}

#[derive(Default)]
struct Module {
    file: String,
    parent: Option<usize>,
    children: BTreeMap<String, usize>,
    /// The items that are defined here, other than modules.
    names: BTreeSet<String>,
    /// Indices of mentions.
    uses: Vec<usize>,
}

/// A path in the source.
struct Mention {
    module: usize,
    line: usize,
    segments: Vec<String>,
    kind: Kind,
}

#[derive(PartialEq)]
enum Kind {
    Use { name: String, is_public: bool },
    Inline,
}

/// The target of a path.
struct Target {
    module: usize,
    is_module: bool,
    /// The modules that re-export it, or import it for their children.
    through: Vec<usize>,
}

struct Reader<'a> {
    files: &'a BTreeMap<String, syn::File>,
    modules: Vec<Module>,
    mentions: Vec<Mention>,
    /// The current module, and the location of its children's files.
    module: usize,
    folder: String,
    seen: BTreeSet<String>,
    test_files: Vec<String>,
}

impl<'a> Reader<'a> {
    fn new(files: &'a BTreeMap<String, syn::File>) -> Self {
        Self {
            files,
            modules: Vec::new(),
            mentions: Vec::new(),
            module: 0,
            folder: String::new(),
            seen: BTreeSet::new(),
            test_files: Vec::new(),
        }
    }

    fn read_file(&mut self, path: &str, parent: Option<(usize, String)>) {
        let parsed = &self.files[path];
        self.seen.insert(path.to_owned());
        let module = self.add_module(path.to_owned(), parent);
        let folder = match path.strip_suffix("mod.rs") {
            Some(folder) => folder.to_owned(),
            None if path == ROOT => String::new(),
            None => format!("{}/", path.trim_end_matches(".rs")),
        };
        self.inside(module, folder, |reader| {
            parsed.items.iter().for_each(|item| reader.visit_item(item))
        });
    }

    fn add_module(&mut self, file: String, parent: Option<(usize, String)>) -> usize {
        let index = self.modules.len();
        let mut module = Module { file, ..Module::default() };
        if let Some((parent, name)) = parent {
            module.parent = Some(parent);
            self.modules[parent].children.insert(name, index);
        }
        self.modules.push(module);
        index
    }

    fn inside(&mut self, module: usize, folder: String, read: impl FnOnce(&mut Self)) {
        let outer = (
            std::mem::replace(&mut self.module, module),
            std::mem::replace(&mut self.folder, folder),
        );
        read(self);
        (self.module, self.folder) = outer;
    }

    fn mention(&mut self, segments: Vec<String>, span: Span, kind: Kind) {
        if let Kind::Use { .. } = kind {
            self.modules[self.module].uses.push(self.mentions.len());
        }
        let line = span.start().line;
        self.mentions.push(Mention { module: self.module, line, segments, kind });
    }

    fn read_use(&mut self, tree: &UseTree, mut prefix: Vec<String>, is_public: bool) {
        let mut leaf = |prefix: Vec<String>, ident: &Ident, name: String| {
            self.mention(prefix, ident.span(), Kind::Use { name, is_public });
        };
        match tree {
            UseTree::Path(path) => {
                prefix.push(plain(&path.ident));
                self.read_use(&path.tree, prefix, is_public);
            }
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.read_use(tree, prefix.clone(), is_public);
                }
            }
            UseTree::Name(name) if name.ident == "self" => {
                let last = prefix.last().cloned().unwrap_or_default();
                leaf(prefix, &name.ident, last);
            }
            UseTree::Name(name) => {
                prefix.push(plain(&name.ident));
                leaf(prefix, &name.ident, plain(&name.ident));
            }
            UseTree::Rename(rename) => {
                if rename.ident != "self" {
                    prefix.push(plain(&rename.ident));
                }
                leaf(prefix, &rename.ident, plain(&rename.rename));
            }
            UseTree::Glob(glob) => {
                prefix.push("*".to_owned());
                let span = glob.star_token.spans[0];
                self.mention(prefix, span, Kind::Use { name: "*".to_owned(), is_public });
            }
        }
    }

    /// Reads the paths in the tokens of a macro or an attribute. `use` trees are read as such.
    fn scan(&mut self, tokens: TokenStream, reads_texts: bool) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let is_colons = |at: usize| {
            let colon = |at: usize| matches!(tokens.get(at), Some(TokenTree::Punct(p)) if p.as_char() == ':');
            colon(at) && colon(at + 1)
        };
        let mut at = 0;
        while let Some(token) = tokens.get(at) {
            at += 1;
            match token {
                // `pub(in some::path)` imports nothing.
                TokenTree::Group(group) if !is_restriction(group) => {
                    self.scan(group.stream(), reads_texts)
                }
                TokenTree::Literal(text) if reads_texts => {
                    if let Ok(path) = syn::parse_str::<syn::LitStr>(&text.to_string())
                        .and_then(|text| text.parse_with(Path::parse_mod_style))
                    {
                        self.mention(segments(&path), text.span(), Kind::Inline);
                    }
                }
                // A method, a field or a name after an external crate's `::` starts no path.
                TokenTree::Ident(first) => {
                    let is_dot = |back: usize| {
                        let token = at.checked_sub(back).and_then(|at| tokens.get(at));
                        matches!(token, Some(TokenTree::Punct(p)) if p.as_char() == '.')
                    };
                    let is_rest = is_dot(2) && !is_dot(3) || at >= 3 && is_colons(at - 3);
                    let mut path = vec![plain(first)];
                    while is_colons(at) {
                        match tokens.get(at + 2) {
                            Some(TokenTree::Ident(next)) => path.push(plain(next)),
                            Some(TokenTree::Punct(star)) if star.as_char() == '*' => {
                                path.push("*".to_owned())
                            }
                            Some(TokenTree::Group(group))
                                if group.delimiter() == Delimiter::Brace =>
                            {
                                let trees = Punctuated::<UseTree, Token![,]>::parse_terminated;
                                for tree in trees.parse2(group.stream()).into_iter().flatten() {
                                    self.read_use(&tree, path.clone(), false);
                                }
                                path.clear();
                            }
                            // `::<`, or the end.
                            _ => break,
                        }
                        at += 3;
                    }
                    if !is_rest && !path.is_empty() {
                        self.mention(path, first.span(), Kind::Inline);
                    }
                }
                _ => {}
            }
        }
    }

    /// Resolves a path from where it is written; `None` if it leads out of the crate or names a local.
    fn resolve(&self, from: usize, segments: &[String], depth: usize) -> Option<Target> {
        let (first, rest) = segments.split_first()?;
        match first.as_str() {
            "crate" => Some(self.walk(0, rest, Vec::new(), depth)),
            "self" => Some(self.walk(from, rest, Vec::new(), depth)),
            "super" => Some(self.walk(self.modules[from].parent?, rest, Vec::new(), depth)),
            name => {
                if let Some(child) = self.modules[from].children.get(name) {
                    return Some(self.walk(*child, rest, Vec::new(), depth));
                }
                let target = self.resolve_use(from, name, depth)?;
                if target.is_module {
                    Some(self.walk(target.module, rest, target.through, depth))
                } else {
                    Some(target)
                }
            }
        }
    }

    /// The target of a name that a `use` of the module declares.
    fn resolve_use(&self, module: usize, name: &str, depth: usize) -> Option<Target> {
        let brings = |mention: &&Mention| matches!(&mention.kind, Kind::Use { name: brought, .. } if brought == name);
        let uses = self.modules[module].uses.iter().map(|index| &self.mentions[*index]);
        // A cycle of names ends here.
        let depth = depth.checked_sub(1)?;
        uses.filter(brings).find_map(|mention| {
            let is_itself = mention.segments.len() == 1 && mention.segments[0] == name;
            let is_child = self.modules[module].children.contains_key(&mention.segments[0]);
            let is_circular = mention.segments[0] == name && !is_child;
            if is_itself || is_circular {
                None
            } else {
                self.resolve(module, &mention.segments, depth)
            }
        })
    }

    fn walk(
        &self,
        module: usize,
        segments: &[String],
        mut through: Vec<usize>,
        depth: usize,
    ) -> Target {
        let here = &self.modules[module];
        let found = |is_module, through| Target { module, is_module, through };
        let Some((name, rest)) = segments.split_first() else { return found(true, through) };
        match name.as_str() {
            "self" => return self.walk(module, rest, through, depth),
            "super" => return self.walk(here.parent.unwrap_or(0), rest, through, depth),
            "*" => return found(false, through),
            _ => {}
        }
        if let Some(child) = here.children.get(name) {
            return self.walk(*child, rest, through, depth);
        }
        if here.names.contains(name) {
            return found(false, through);
        }
        if let Some(target) = self.resolve_use(module, name, depth) {
            through.push(module);
            through.extend(&target.through);
            if target.is_module {
                return self.walk(target.module, rest, through, depth);
            }
            return Target { through, ..target };
        }
        let uses = || here.uses.iter().map(|index| &self.mentions[*index]);
        let is_reexported = uses().any(
            |mention| matches!(&mention.kind, Kind::Use { name: brought, .. } if brought == name),
        );
        if is_reexported {
            // Another crate's item.
            through.push(module);
            return found(false, through);
        }
        for glob in uses().filter(|mention| mention.kind.is_glob()) {
            let Some(depth) = depth.checked_sub(1) else { break };
            let Some(target) = self.resolve(module, &glob.segments, depth) else { continue };
            if target.module != module && self.has(target.module, name) {
                through.push(module);
                return self.walk(target.module, segments, through, depth);
            }
        }
        found(false, through)
    }

    fn has(&self, module: usize, name: &str) -> bool {
        let module = &self.modules[module];
        let brings = |index: &usize| matches!(&self.mentions[*index].kind, Kind::Use { name: brought, .. } if brought == name);
        module.children.contains_key(name)
            || module.names.contains(name)
            || module.uses.iter().any(brings)
    }

    fn is_below(&self, mut module: usize, ancestor: usize) -> bool {
        while let Some(parent) = self.modules[module].parent {
            if parent == ancestor {
                return true;
            }
            module = parent;
        }
        false
    }

    /// Whether a `use` is no separate import: its names are counted where they are used.
    fn is_counted_at_its_use(
        &self,
        mention: &Mention,
        target: &Target,
        used: &BTreeSet<(usize, &str)>,
    ) -> bool {
        let Kind::Use { name, is_public } = &mention.kind else { return false };
        // A re-export of the parent, or a module whose items are named further down.
        (*is_public
            && (target.module == mention.module || self.is_below(target.module, mention.module)))
            || (target.is_module && used.contains(&(mention.module, name)))
    }

    fn finish(self) -> Imports {
        const DEPTH: usize = 16;
        let mut imports = Imports { files: self.seen.clone(), ..Imports::default() };
        let used: BTreeSet<(usize, &str)> = self
            .mentions
            .iter()
            .filter(|mention| mention.segments.len() > 1)
            .map(|mention| (mention.module, mention.segments[0].as_str()))
            .collect();
        let mut known = BTreeSet::new();
        for mention in &self.mentions {
            let from = &self.modules[mention.module].file;
            if from == ROOT {
                continue;
            }
            if mention.kind == Kind::Inline && !self.is_inline_import(mention) {
                continue;
            }
            let Some(target) = self.resolve(mention.module, &mention.segments, DEPTH) else {
                continue;
            };
            if self.is_counted_at_its_use(mention, &target, &used) {
                continue;
            }
            let import = |to: usize| Import {
                from: from.clone(),
                line: mention.line,
                to: self.modules[to].file.clone(),
                path: mention.segments.join("::"),
            };
            let through_root =
                target.through.iter().any(|module| self.modules[*module].file == ROOT);
            if through_root && known.insert((from.clone(), import(target.module).path, None)) {
                imports.through_root.push(import(target.module));
            }
            let reached = target.through.iter().chain([&target.module]).copied();
            for import in reached.map(import).filter(|import| import.to != *from) {
                let is_root = through_root && import.to == ROOT;
                let key = (from.clone(), import.path.clone(), Some(import.to.clone()));
                if !is_root && known.insert(key) {
                    imports.all.push(import);
                }
            }
        }
        imports.all.sort();
        imports.through_root.sort();
        let is_known = |path: &String| {
            self.seen.contains(path) || self.test_files.iter().any(|module| is_in(path, module))
        };
        imports.orphans = self.files.keys().filter(|path| !is_known(path)).cloned().collect();
        imports
    }

    /// Whether a path in code is an import: a private `use` of an item is counted where it is written.
    fn is_inline_import(&self, mention: &Mention) -> bool {
        let first = mention.segments[0].as_str();
        let module = &self.modules[mention.module];
        if matches!(first, "crate" | "self" | "super") {
            return mention.segments.len() > 1;
        }
        if module.children.contains_key(first) {
            return mention.segments.len() > 1;
        }
        module.uses.iter().map(|index| &self.mentions[*index]).any(|each| match &each.kind {
            Kind::Use { name, .. } if name != first => false,
            Kind::Use { is_public: true, .. } => true,
            _ => {
                mention.segments.len() > 1
                    && self
                        .resolve_use(mention.module, first, 16)
                        .is_some_and(|target| target.is_module)
            }
        })
    }
}

impl Kind {
    fn is_glob(&self) -> bool {
        matches!(self, Self::Use { name, .. } if name == "*")
    }
}

/// Whether a file is the module's own, or below its directory; the module is named without `.rs`.
fn is_in(path: &str, module: &str) -> bool {
    let rest = path.strip_prefix(module);
    rest.is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
}

/// Skips nodes that only a test build compiles.
macro_rules! without_tests {
    ($($visit:ident($node:ty);)*) => {$(
        fn $visit(&mut self, node: &'ast $node) {
            if !is_test_only(&node.attrs) {
                visit::$visit(self, node);
            }
        }
    )*};
}

impl<'ast> Visit<'ast> for Reader<'ast> {
    without_tests! {
        visit_arm(syn::Arm);
        visit_expr_block(syn::ExprBlock);
        visit_expr_call(syn::ExprCall);
        visit_expr_if(syn::ExprIf);
        visit_expr_method_call(syn::ExprMethodCall);
        visit_field(syn::Field);
        visit_field_value(syn::FieldValue);
        visit_impl_item_const(syn::ImplItemConst);
        visit_impl_item_fn(syn::ImplItemFn);
        visit_impl_item_macro(syn::ImplItemMacro);
        visit_impl_item_type(syn::ImplItemType);
        visit_local(syn::Local);
        visit_stmt_macro(syn::StmtMacro);
        visit_trait_item_fn(syn::TraitItemFn);
        visit_variant(syn::Variant);
    }

    fn visit_item(&mut self, item: &'ast Item) {
        let (attributes, names) = described(item);
        if is_test_only(attributes) {
            if let Item::Mod(ItemMod { ident, content: None, .. }) = item {
                self.test_files.push(format!("{}{}", self.folder, plain(ident)));
            }
            return;
        }
        self.modules[self.module].names.extend(names);
        visit::visit_item(self, item);
    }

    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        let name = plain(&item.ident);
        let parent = self.module;
        if let Some((_, items)) = &item.content {
            // A repeated name is the same module under another `cfg`.
            let known = self.modules[parent].children.get(&name).copied();
            let file = self.modules[parent].file.clone();
            let module =
                known.unwrap_or_else(|| self.add_module(file, Some((parent, name.clone()))));
            let folder = format!("{}{name}/", self.folder);
            self.inside(module, folder, |reader| {
                items.iter().for_each(|item| reader.visit_item(item))
            });
            return;
        }
        let candidates =
            [format!("{}{name}.rs", self.folder), format!("{}{name}/mod.rs", self.folder)];
        let Some(path) = candidates.iter().find(|path| self.files.contains_key(*path)) else {
            panic!("`mod {name};` in `{}` names no file", self.modules[parent].file);
        };
        self.read_file(path, Some((parent, name)));
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        if item.leading_colon.is_none() {
            self.read_use(&item.tree, Vec::new(), !matches!(item.vis, Visibility::Inherited));
        }
    }

    // `pub(in some::path)` imports nothing.
    fn visit_visibility(&mut self, _: &'ast Visibility) {}

    fn visit_path(&mut self, path: &'ast Path) {
        if let (None, Some(first)) = (path.leading_colon, path.segments.first()) {
            self.mention(segments(path), first.ident.span(), Kind::Inline);
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast Macro) {
        self.visit_path(&call.path);
        self.scan(call.tokens.clone(), false);
    }

    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        match &attribute.meta {
            Meta::Path(path) => self.visit_path(path),
            Meta::List(list) if !list.path.is_ident("cfg") => {
                self.visit_path(&list.path);
                self.scan(list.tokens.clone(), true);
            }
            _ => {}
        }
    }
}

fn plain(ident: &Ident) -> String {
    let name = ident.to_string();
    name.strip_prefix("r#").unwrap_or(&name).to_owned()
}

fn segments(path: &Path) -> Vec<String> {
    path.segments.iter().map(|segment| plain(&segment.ident)).collect()
}

fn is_restriction(group: &proc_macro2::Group) -> bool {
    group.delimiter() == Delimiter::Parenthesis
        && matches!(group.stream().into_iter().next(), Some(TokenTree::Ident(word)) if word == "in")
}

/// The attributes of an item, and the names that it defines.
fn described(item: &Item) -> (&[Attribute], Vec<String>) {
    macro_rules! named {
        ($of:expr) => {
            (&$of.attrs, vec![plain(&$of.ident)])
        };
    }
    match item {
        Item::Const(of) => named!(of),
        Item::Enum(of) => named!(of),
        Item::Fn(of) => (&of.attrs, vec![plain(&of.sig.ident)]),
        Item::Static(of) => named!(of),
        Item::Struct(of) => named!(of),
        Item::Trait(of) => named!(of),
        Item::TraitAlias(of) => named!(of),
        Item::Type(of) => named!(of),
        Item::Union(of) => named!(of),
        Item::Macro(of) => {
            let mut names: Vec<String> = of.ident.iter().map(plain).collect();
            defined(of.mac.tokens.clone(), &mut names);
            (&of.attrs, names)
        }
        Item::ExternCrate(of) => (&of.attrs, Vec::new()),
        Item::ForeignMod(of) => (&of.attrs, Vec::new()),
        Item::Impl(of) => (&of.attrs, Vec::new()),
        Item::Mod(of) => (&of.attrs, Vec::new()),
        Item::Use(of) => (&of.attrs, Vec::new()),
        _ => (&[], Vec::new()),
    }
}

/// The names of the items in the tokens of a macro such as `pin_project!`.
fn defined(tokens: TokenStream, names: &mut Vec<String>) {
    let mut is_keyword = false;
    for token in tokens {
        match token {
            TokenTree::Ident(name) if is_keyword && name != "mut" && name != "fn" => {
                is_keyword = false;
                names.push(plain(&name));
            }
            TokenTree::Ident(word) => {
                let word = word.to_string();
                let words = ["const", "enum", "fn", "static", "struct", "trait", "type", "union"];
                is_keyword = words.contains(&word.as_str());
            }
            _ => is_keyword = false,
        }
    }
}

/// Whether the attributes exclude the code from every build without `cfg(test)`.
fn is_test_only(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("test")
            || attribute.path().is_ident("cfg")
                && attribute.parse_args::<Meta>().is_ok_and(|condition| !may_hold(&condition, true))
    })
}

/// Whether the condition, or its negation, can hold without `test`.
fn may_hold(condition: &Meta, wanted: bool) -> bool {
    let Meta::List(list) = condition else {
        let is_test = condition.path().is_ident("test");
        return !is_test || !wanted;
    };
    let parts = Punctuated::<Meta, Token![,]>::parse_terminated;
    let Ok(parts) = parts.parse2(list.tokens.clone()) else { return true };
    let mut parts = parts.iter();
    if list.path.is_ident("not") {
        parts.all(|part| may_hold(part, !wanted))
    } else if list.path.is_ident("all") == wanted {
        parts.all(|part| may_hold(part, wanted))
    } else {
        parts.any(|part| may_hold(part, wanted))
    }
}
