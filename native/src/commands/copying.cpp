#include "copying.hpp"

#include <dirent.h>

#include <cstdio>
#include <cstring>

namespace madang::commands {
namespace {

using Action = files::CopyEvent::Action;

const char* action_name(Action action) {
  switch (action) {
    case Action::copied: return "copied";
    case Action::linked: return "linked";
    case Action::skipped: return "left";
    case Action::removed: return "removed";
    case Action::updated: return "updated";
  }
  return "";
}

const char* type_name(unsigned char type) {
  switch (type) {
    case DT_REG: return "file";
    case DT_DIR: return "directory";
    case DT_LNK: return "link";
    case DT_FIFO: return "fifo";
    case DT_SOCK: return "socket";
    case DT_CHR:
    case DT_BLK: return "device";
    default: return "unknown";
  }
}

}  // namespace

files::Checksum checksum_named(const Program& program, const char* word) {
  if (!word || std::strcmp(word, "xxh3") == 0) return files::Checksum::xxh3;
  if (std::strcmp(word, "sha256") == 0) return files::Checksum::sha256;
  program.misused(std::string("there is no checksum ") + quoted(word) + "; there are xxh3 and sha256");
}

void CopyOutput::warn(const files::Failure& warning) const {
  const std::string line = std::string(program_.name()) + ": warning: " + warning.action + " " +
                           quoted(warning.path) + warning.joint + "\n";
  std::fputs(line.c_str(), stderr);
}

void CopyOutput::print_text(std::string& text, const files::CopyEvent& event) const {
  if (event.action == Action::removed) {
    text += (dry_run_ ? "would remove " : "removed ") + quoted(event.target) + "\n";
  } else if (event.action == Action::updated) {
    text += (dry_run_ ? "would update attributes of " : "updated attributes of ") + quoted(event.target) + "\n";
  } else {
    text += (dry_run_ ? "would copy " : "") + quoted(event.source) + " -> " + quoted(event.target) + "\n";
  }
}

void CopyOutput::print_json(std::string& text, const files::CopyEvent& event) const {
  text += std::string("{\"action\": \"") + action_name(event.action) + "\"";
  if (event.action != Action::removed) text += ", \"source\": " + json_string(event.source);
  text += ", \"target\": " + json_string(event.target) + ", \"type\": \"" + type_name(event.type) + "\"";
  if (event.type == DT_REG && event.action == Action::copied) text += ", \"bytes\": " + std::to_string(event.bytes);
  if (!event.digest.empty()) {
    text += verify_ == files::Checksum::sha256 ? ", \"sha256\": \"" : ", \"xxh3\": \"";
    text += std::string(event.digest) + "\"";
  }
  text += "}\n";
}

}  // namespace madang::commands
