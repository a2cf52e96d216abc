// Listings of directories that end in any order, shown in the order in which `ls -R` has them.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace madang::commands {

// Thread-safe. What comes too early is kept until its turn.
class InOrder {
 public:
  // `show` is called for one text at a time.
  explicit InOrder(std::function<void(std::string&)> show) : show_(std::move(show)) {}

  // The directories that come first, in their order.
  void begin(const std::vector<std::string>& paths) {
    std::lock_guard lock(mutex_);
    for (const std::string& path : paths) top_->children.push_back(meet(path));
    top_->is_ready = true;
    stack_.push_back({top_, 0});
  }

  // A directory's listing and those in it, in their order. Each of them is added too, before or after.
  void add(const std::string& path, std::string text, const std::vector<std::string>& children) {
    std::lock_guard lock(mutex_);
    const std::shared_ptr<Node> node = meet(path);
    node->text = std::move(text);
    for (const std::string& child : children) node->children.push_back(meet(child));
    node->is_ready = true;
    show_ready();
  }

 private:
  struct Node {
    std::string text;
    std::vector<std::shared_ptr<Node>> children;
    bool is_ready = false;
  };
  struct Place {
    std::shared_ptr<Node> node;
    std::size_t next;  // of its children
  };

  // Each directory is met twice: in the one that it is in, and when it is added.
  std::shared_ptr<Node> meet(const std::string& path) {
    const auto [found, is_new] = met_once_.try_emplace(path);
    if (is_new) return found->second = std::make_shared<Node>();
    const std::shared_ptr<Node> node = std::move(found->second);
    met_once_.erase(found);
    return node;
  }

  void show_ready() {
    while (!stack_.empty()) {
      Place& place = stack_.back();
      if (!place.node->is_ready) return;
      if (!place.node->text.empty()) {
        show_(place.node->text);
        place.node->text = {};
      }
      if (place.next != 0) place.node->children[place.next - 1].reset();
      if (place.next == place.node->children.size()) {
        stack_.pop_back();
      } else {
        std::shared_ptr<Node> child = place.node->children[place.next++];
        stack_.push_back({std::move(child), 0});
      }
    }
  }

  const std::function<void(std::string&)> show_;
  std::mutex mutex_;
  std::shared_ptr<Node> top_ = std::make_shared<Node>();
  std::vector<Place> stack_;  // the directory whose turn it is, beneath those that it is in
  std::unordered_map<std::string, std::shared_ptr<Node>> met_once_;
};

}  // namespace madang::commands
