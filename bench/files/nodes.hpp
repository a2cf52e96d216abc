// What the kernel knows of the tree: a node for each file and directory it has looked up.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <string>
#include <unordered_map>
#include <utility>

// Directories keep a handle; a file is found by its directory and name, so that a million of them
// cost no descriptors.
struct Node {
  dev_t device = 0;
  ino_t inode = 0;
  std::uint64_t lookups = 0;   // references the kernel holds, until it sends FORGET
  std::uint64_t children = 0;  // nodes whose `parent` this is
  int handle = -1;             // O_PATH; also of a file whose known name is gone but has others
  bool is_directory = false;
  Node* parent = nullptr;
  std::string name;
};

// Where a node is, as the *at() calls take it.
struct Place {
  int directory;
  const char* name;
  int flags;
};

class Nodes {
 public:
  explicit Nodes(int root_handle) {
    struct stat about {};
    fstat(root_handle, &about);
    root_.device = about.st_dev;
    root_.inode = about.st_ino;
    root_.handle = root_handle;
    root_.is_directory = true;
    root_.lookups = 1;
    known_[key(about)] = &root_;
  }

  Node& at(std::uint64_t id) { return id == 1 ? root_ : *reinterpret_cast<Node*>(id); }
  std::uint64_t id(Node& node) const {
    return &node == &root_ ? 1 : reinterpret_cast<std::uint64_t>(&node);
  }

  Place place(Node& node) {
    if (node.handle < 0) return {node.parent->handle, node.name.c_str(), AT_SYMLINK_NOFOLLOW};
    if (node.is_directory) return {node.handle, ".", AT_SYMLINK_NOFOLLOW};
    std::snprintf(link_, sizeof link_, "/proc/self/fd/%d", node.handle);
    return {AT_FDCWD, link_, 0};
  }

  // One more reference to what `parent` has under `name`.
  Node* enter(Node& parent, const char* name, const struct stat& about) {
    auto [entry, is_new] = known_.try_emplace(key(about), nullptr);
    if (is_new) {
      entry->second = new Node;
      entry->second->device = about.st_dev;
      entry->second->inode = about.st_ino;
    }
    Node& node = *entry->second;
    if (&node != &root_) move(node, parent, name);
    if (S_ISDIR(about.st_mode) && node.handle < 0) {
      node.handle = openat(parent.handle, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
      node.is_directory = true;
    }
    ++node.lookups;
    return &node;
  }

  void move(Node& node, Node& parent, const char* name) {
    if (node.parent != &parent) {
      ++parent.children;
      Node* before = std::exchange(node.parent, &parent);
      if (before != nullptr) {
        --before->children;
        drop_if_unused(*before);
      }
    }
    if (node.name != name) node.name = name;
  }

  // A name is about to go: a file that has others stays reachable.
  void before_unlink(Node& parent, const char* name) {
    struct stat about {};
    if (fstatat(parent.handle, name, &about, AT_SYMLINK_NOFOLLOW) != 0) return;
    if (S_ISDIR(about.st_mode) || about.st_nlink < 2) return;
    const auto found = known_.find(key(about));
    if (found == known_.end() || found->second->handle >= 0) return;
    found->second->handle = openat(parent.handle, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
  }

  void after_rename(Node& parent, const char* name) {
    struct stat about {};
    if (fstatat(parent.handle, name, &about, AT_SYMLINK_NOFOLLOW) != 0) return;
    const auto found = known_.find(key(about));
    if (found != known_.end()) move(*found->second, parent, name);
  }

  void forget(std::uint64_t id, std::uint64_t lookups) {
    Node& node = at(id);
    node.lookups -= lookups < node.lookups ? lookups : node.lookups;
    drop_if_unused(node);
  }

 private:
  using Key = std::pair<dev_t, ino_t>;
  struct Hash {
    std::size_t operator()(const Key& key) const {
      return (key.second ^ (key.first << 48)) * 0x9e3779b97f4a7c15ULL >> 7;
    }
  };

  static Key key(const struct stat& about) { return {about.st_dev, about.st_ino}; }

  void drop_if_unused(Node& node) {
    if (&node == &root_ || node.lookups != 0 || node.children != 0) return;
    known_.erase({node.device, node.inode});
    if (node.handle >= 0) close(node.handle);
    Node* parent = node.parent;
    delete &node;
    if (parent != nullptr) {
      --parent->children;
      drop_if_unused(*parent);
    }
  }

  Node root_;
  std::unordered_map<Key, Node*, Hash> known_;
  char link_[32];
};
