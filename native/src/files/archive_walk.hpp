// The walks that archives are made by: as it comes, or sorted by name.
#pragma once

#include "archiver.hpp"
#include "exclude.hpp"
#include "walk.hpp"

namespace madang::files {

// Finds what is to be archived. Its users say what is done with it.
class ArchiveWalk : public Operation {
 public:
  ArchiveWalk(Archiver& archiver, const ArchiveOptions& options)
      : archiver_(archiver), options_(options), exclude_(options.exclude) {}

  bool entry(Lane& lane, Directory& directory, int fd, const Entry& entry,
             std::unique_ptr<DirectoryState>& child_state) final;
  bool entered(Lane& lane, Directory& directory, int fd) final;
  void failed(Lane& lane, Directory& directory, Stage stage, int error) final;

 protected:
  // Not a directory, or one that is not descended into.
  virtual void found(Lane& lane, const Directory& directory, int fd, const Entry& entry,
                     const std::string& path, unsigned char type) = 0;
  virtual void found_directory(Lane& lane, const Directory& directory, int fd,
                               const struct stat& status) = 0;

  Archiver& archiver_;
  const ArchiveOptions& options_;

 private:
  const Exclude exclude_;
};

// Archives `roots` in any order; false when it was stopped.
bool archive_as_it_comes(Crew& crew, Archiver& archiver, const std::vector<ArchiveRoot>& roots,
                         const ArchiveOptions& options, const Run& run);

// Root by root, each sorted by name: a directory before what is in it.
bool archive_sorted(Crew& crew, Archiver& archiver, const std::vector<ArchiveRoot>& roots,
                    const ArchiveOptions& options, const Run& run);

}  // namespace madang::files
