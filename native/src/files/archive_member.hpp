// What an archive says of a file: its status, owner, attributes and holes as a member.
#pragma once

#include <sys/stat.h>

#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "tar_format.hpp"

namespace madang::files {

// Names of users and groups, each looked up once. Thread-safe.
class OwnerNames {
 public:
  std::string user(uid_t uid);
  std::string group(gid_t gid);

 private:
  std::mutex mutex_;
  std::map<uid_t, std::string> users_;
  std::map<gid_t, std::string> groups_;
};

// Sets what a status tells: type (not of sockets), mode, owner's numbers, size, time, device.
void fill(tar::Member& member, const struct stat& status);

// A name as a member's, without what leads out of the archive: a leading slash, "..". What was
// taken away is put into `removed`.
std::string_view safe_name(std::string_view path, std::string_view& removed);

// Adds extended attributes and ACLs of what `fd` is (O_PATH is enough). 0, or an errno.
int add_attributes(int fd, bool xattrs, bool acls, OwnerNames& names, tar::Member& member);

// Where a file of `size` bytes has data, by asking for its holes; false: everywhere.
bool find_segments(int fd, std::uint64_t size, std::vector<tar::Segment>& segments);

}  // namespace madang::files
