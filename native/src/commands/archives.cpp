#include "archives.hpp"

#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace madang::commands {

volatile sig_atomic_t caught_signal = 0;

void stop_on_signals() {
  struct sigaction action{};
  action.sa_handler = [](int signal) { caught_signal = signal; };
  action.sa_flags = SA_RESETHAND;
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaction(signal, &action, nullptr);
}

void end_on_signal() {
  if (caught_signal != 0) raise(caught_signal);  // its handler is the ordinary one again
}

files::Run archive_run(Program& program) {
  files::Run run = program.run();
  run.failed = [&program](const files::Failure& failure) {
    program.complain(escaped(failure.path) + ": " + failure.action +
                     (failure.error != 0 ? std::string(": ") + strerror(failure.error) : std::string()));
  };
  run.poll = [poll = run.poll](const files::Progress& progress) {
    if (poll) poll(progress);
    return caught_signal != 0;
  };
  return run;
}

void MemberOutput::add(const files::tar::Member& member, const std::string& archive, const char* what) {
  if (json_lines_) {
    text_ += "{";
    if (!archive.empty()) text_ += "\"archive\": " + json_string(archive) + ", ";
    text_ += json_of(member);
    if (*what) text_ += std::string(", \"result\": \"") + what + "\"";
    text_ += "}\n";
  } else if (verbose_ > 1) {
    text_ += lines_.line(member, numeric_owner_) + "\n";
  } else if (verbose_ > 0) {
    text_ += escaped(member.name) + "\n";
  }
  if (text_.size() > 32 * 1024) flush();
}

void MemberOutput::add_text(std::string text) {
  text_ += text;
  if (text_.size() > 32 * 1024) flush();
}

void MemberOutput::flush() {
  for (std::string_view rest = text_; !rest.empty();) {
    const ssize_t written = ::write(fd_, rest.data(), rest.size());
    if (written < 0 && errno == EPIPE) _exit(128 + SIGPIPE);
    if (written < 0 && errno != EINTR) break;
    if (written > 0) rest.remove_prefix(static_cast<std::size_t>(written));
  }
  text_.clear();
}

void connect(Program& program, MemberOutput& output, bool several, files::ExtractOptions& options) {
  options.damaged = [&program](const std::string& archive, const std::string& sentence) {
    program.complain(escaped(archive) + ": " + escaped(sentence));
  };
  options.refused = [&program, several](const std::string& archive, const std::string& member, const std::string& sentence) {
    program.complain((several ? escaped(archive) + ": " : std::string()) + escaped(member) + ": " + escaped(sentence));
  };
  options.removed_prefix = [&program](const std::string& prefix) {
    program.complain("Removing leading `" + escaped(prefix) + "' from member names");
  };
  options.done = [&program, &output, several](const std::string& archive, const files::tar::Member& member, files::Extracted what) {
    if (what == files::Extracted::left_out) return;
    if (what == files::Extracted::device) program.complain(escaped(member.name) + ": a device is not made");
    if (!output.wanted()) return;
    const char* const word = what == files::Extracted::made         ? "made"
                             : what == files::Extracted::same       ? "same"
                             : what == files::Extracted::would_make ? "would make"
                                                                    : "left out";
    output.add(member, several ? archive : "", word);
  };
}

}  // namespace madang::commands
