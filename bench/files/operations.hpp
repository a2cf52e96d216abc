// The file operations of the FUSE protocol, done on the directory behind at once.
#pragma once

#include <linux/fuse.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "nodes.hpp"

struct Request {
  const fuse_in_header& head;
  const char* body;

  template <class T>
  const T& as() const {
    return *reinterpret_cast<const T*>(body);
  }
  // The name after a fixed part, or where the second one begins.
  const char* name(std::size_t skipped = 0) const { return body + skipped; }
};

struct Answer {
  int error = 0;
  std::string bytes;         // after the header
  bool round_trip = true;    // what a NAS's client answers by itself costs none
  bool is_expected = true;   // false: the kernel waits for no answer

  template <class T>
  static Answer of(const T& value, bool round_trip = true) {
    return {0, std::string(reinterpret_cast<const char*>(&value), sizeof value), round_trip, true};
  }
  static Answer failed(int error, bool round_trip = true) { return {error, {}, round_trip, true}; }
  static Answer none() { return {0, {}, false, false}; }
};

struct Settings {
  unsigned timeout_s = 3;     // how long the kernel trusts attributes and names
  bool readdirplus = false;   // attributes come with the names of a directory
  bool xattrs = false;        // NFS 3 has none
};

class Operations {
 public:
  Operations(int root_handle, Settings settings) : nodes_(root_handle), settings_(settings) {}

  Answer answer(const Request& request);

 private:
  Answer init(const Request& request) const;
  Answer lookup(const Request& request);
  Answer attributes(const Request& request);
  Answer set_attributes(const Request& request);
  Answer read_link(const Request& request);
  Answer make_symlink(const Request& request);
  Answer make_node(const Request& request);
  Answer make_directory(const Request& request);
  Answer make_link(const Request& request);
  Answer remove(const Request& request, int flags);
  Answer rename(const Request& request, std::uint64_t directory, unsigned flags,
                std::size_t skipped);
  Answer open(const Request& request);
  Answer create(const Request& request);
  Answer read(const Request& request) const;
  Answer write(const Request& request) const;
  Answer sync(const Request& request) const;
  Answer allocate(const Request& request) const;
  Answer seek(const Request& request) const;
  Answer open_directory(const Request& request);
  Answer read_directory(const Request& request, bool with_attributes);
  Answer file_system(const Request& request);
  Answer xattr(const Request& request);
  Answer release(const Request& request) const;
  void forget_batch(const Request& request);

  Answer entry(Node& parent, const char* name);
  Answer made(const Request& request, Node& parent, const char* name);
  Answer attributes_of(Node& node, int handle);
  bool fill_entry(Node& parent, const char* name, fuse_entry_out& out);
  void give_to(const fuse_in_header& head, const Place& place) const;
  fuse_attr_out attr_out(const struct stat& about) const;

  Nodes nodes_;
  Settings settings_;
};
