// Making single members of archives; in which order, is decided in extract.cpp.
#pragma once

#include <atomic>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "crew.hpp"
#include "extract.hpp"
#include "extract_target.hpp"
#include "member_reader.hpp"

namespace madang::files {

class Extractor {
 public:
  Extractor(ExtractTarget& target, const ExtractOptions& options, const Run& run);

  // `name`: cleaned, beneath the target.
  void make_file(Lane& lane, const std::string& archive, const ArchivedMember& found, ByteSource& content,
                 const std::string& name);
  void make_other(Lane& lane, const std::string& archive, const tar::Member& member, const std::string& name);
  void make_hard_link(Lane& lane, const std::string& archive, const tar::Member& member, const std::string& name,
                      const std::string& link_name);
  void make_directory(Lane& lane, const std::string& archive, const tar::Member& member, const std::string& name);
  // Owner, mode and time of a directory, after all that is in it.
  void finish_directory(Lane& lane, const tar::Member& member, const std::string& name);

  void tell(Lane& lane, const std::string& archive, const tar::Member& member, Extracted what, std::uint64_t bytes = 0);
  void refuse(const std::string& archive, const std::string& member, const std::string& sentence);
  void fail(const char* action, const std::string& name, int error) { failures_.add(action, name, error); }

  void add_to(ExtractResult& result) const;

 private:
  // Where a member is made, under a name that it has until it is whole.
  struct Place {
    ExtractTarget::Opened directory;
    std::string last;
    std::string part;
  };
  bool find_place(Lane& lane, const std::string& name, Place& place);
  // Gives it its name. False, with a failure told, where that can't be.
  bool put_in_place(Lane& lane, const Place& place, const std::string& name);
  bool write_content(Lane& lane, int fd, const ArchivedMember& found, ByteSource& content, std::uint32_t& crc,
                     int& error);
  bool read_back(Lane& lane, int fd, const ArchivedMember& found, std::uint32_t crc, int& error);
  void check_content(Lane& lane, const ArchivedMember& found, ByteSource& content);
  bool is_there(Lane& lane, const tar::Member& member, const std::string& name);
  // Sets what a member says besides its content, of what is open; 0 or an errno.
  int set_status(int fd, const tar::Member& member, mode_t made_with);
  void set_attributes(int fd, const tar::Member& member, const std::string& name);
  std::pair<uid_t, gid_t> owner_of(const tar::Member& member);
  mode_t mode_of(const tar::Member& member) const;

  ExtractTarget& target_;
  const ExtractOptions& options_;
  Failures failures_;
  const mode_t umask_;
  const std::string run_name_;
  std::atomic<std::uint64_t> next_part_{0};
  std::atomic<std::uint64_t> members_{0}, bytes_{0}, same_{0}, left_out_{0}, refused_{0};

  std::mutex tell_mutex_;
  std::mutex owners_mutex_;
  std::map<std::string, long> users_, groups_;
};

}  // namespace madang::files
