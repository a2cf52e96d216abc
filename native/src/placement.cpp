#include "placement.hpp"

#include <algorithm>
#include <array>
#include <cassert>
#include <limits>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>

namespace madang {
namespace {

constexpr std::int64_t kWhole = 1000;
constexpr std::int64_t kLevelMilli = 10;
constexpr std::int64_t kUnit = 64;
constexpr std::size_t kMostLambdas = 32;

constexpr std::int32_t kUnknown = std::numeric_limits<std::int32_t>::min();
constexpr std::int32_t kNoRoom = kUnknown + 1;

struct Device {
  std::int64_t alike;
  std::int64_t milli;
  std::int64_t memory_bytes;

  auto operator<=>(const Device&) const = default;
};

struct State {
  std::size_t type;
  std::int64_t cpu_milli;
  std::vector<Device> devices;  // sorted
  std::optional<std::int64_t> value;
  std::optional<std::int64_t> fragments;
};

struct Score {
  std::int32_t value = kNoRoom;
  std::int32_t fragments = 0;

  auto operator<=>(const Score&) const = default;
};

// What is kept of one ask, by state.
struct Known {
  Ask ask;
  std::vector<std::int32_t> values;
  std::vector<std::int32_t> fragments;
};

std::string key_of(std::size_t type, std::int64_t cpu_milli, const std::vector<Device>& devices) {
  std::string key;
  key.reserve(16 + devices.size() * sizeof(Device));
  key.append(reinterpret_cast<const char*>(&type), sizeof type);
  key.append(reinterpret_cast<const char*>(&cpu_milli), sizeof cpu_milli);
  key.append(reinterpret_cast<const char*>(devices.data()), devices.size() * sizeof(Device));
  return key;
}

// The devices of a state that count, as the values below see them, with one change made.
struct Changed {
  std::array<std::int64_t, 64> milli;
  std::size_t size = 0;
};

}  // namespace

struct Placement::Shared {
  NodeTypes types;
  bool fullest_first = false;
  std::optional<Fragments> fragments;
  std::optional<Prices> prices;
  std::vector<State> states;
  std::unordered_map<std::string, std::int32_t> number_of;
  std::vector<Known> asks;

  bool counts(std::size_t type, const Device& device) const {
    for (std::size_t column = 0; column < types.columns; ++column) {
      const std::size_t cell = type * types.columns + column;
      if (types.alike[cell] == device.alike) return types.counts[cell] != 0;
    }
    return false;
  }

  // A column of the type with devices like this one: what the tables of an ask say of it.
  std::size_t cell_of(std::size_t type, const Device& device) const {
    for (std::size_t column = 0; column < types.columns; ++column) {
      const std::size_t cell = type * types.columns + column;
      if (types.alike[cell] == device.alike) return cell;
    }
    assert(false);
    return type * types.columns;
  }

  std::int32_t intern(const Space& space, std::size_t row) {
    State state{.type = static_cast<std::size_t>(space.type_of[row]),
                .cpu_milli = space.cpu_milli[row],
                .devices = {},
                .value = {},
                .fragments = {}};
    for (std::size_t column = 0; column < types.columns; ++column) {
      const std::int64_t alike = types.alike[state.type * types.columns + column];
      if (alike < 0) continue;
      const std::size_t cell = row * space.columns + column;
      state.devices.push_back(
          {alike, space.device_milli[cell], space.device_memory_bytes[cell]});
    }
    std::sort(state.devices.begin(), state.devices.end());
    auto [found, is_new] = number_of.try_emplace(
        key_of(state.type, state.cpu_milli, state.devices), static_cast<std::int32_t>(states.size()));
    if (is_new) states.push_back(std::move(state));
    return found->second;
  }

  void forget() {
    for (State& state : states) {
      state.value.reset();
      state.fragments.reset();
    }
    asks.clear();
  }

  // -- one ask on one state ---------------------------------------------------------------------

  bool takes(const Ask& ask, const State& state, const Device& device) const {
    const std::size_t cell = cell_of(state.type, device);
    if (!ask.suits[cell] || device.milli < ask.milli[cell]) return false;
    return !ask.share || device.memory_bytes >= ask.device_memory_bytes[cell];
  }

  bool has_room(const Ask& ask, const State& state) const {
    if (state.cpu_milli < ask.cpu_milli) return false;
    if (!ask.share && !ask.whole) return true;
    const auto fitting =
        std::count_if(state.devices.begin(), state.devices.end(),
                      [&](const Device& device) { return takes(ask, state, device); });
    return fitting >= std::max<std::int64_t>(1, ask.whole);
  }

  // The devices that count after the ask was served: of a share by device `chosen`, else by whole
  // ones.
  Changed after(const Ask& ask, const State& state, std::size_t chosen) const {
    Changed changed;
    std::int64_t left = ask.whole;
    for (std::size_t i = 0; i < state.devices.size(); ++i) {
      const Device& device = state.devices[i];
      if (!counts(state.type, device)) continue;
      std::int64_t milli = device.milli;
      if (ask.share && i == chosen) milli -= ask.milli[cell_of(state.type, device)];
      if (left > 0 && milli == kWhole && takes(ask, state, device)) {
        milli = 0;
        --left;
      }
      changed.milli[changed.size++] = milli;
    }
    return changed;
  }

  std::int64_t value_of(std::size_t type, std::int64_t cpu_milli, const Changed& devices) const {
    const std::int64_t table = prices->table_of[type];
    if (table < 0) return 0;
    const auto& thresholds = prices->cpu_thresholds;
    const auto above = std::upper_bound(thresholds.begin(), thresholds.end(), cpu_milli);
    const std::size_t lambdas = prices->lambdas;
    std::array<std::int64_t, kMostLambdas> total{};
    std::int64_t whole = 0;
    const std::int32_t* shares = nullptr;
    const bool worth = above != thresholds.begin();
    const std::size_t row = static_cast<std::size_t>(table) * thresholds.size() +
                            static_cast<std::size_t>(above - thresholds.begin()) - 1;
    if (worth) shares = prices->shares.data() + row * prices->levels * lambdas;
    for (std::size_t i = 0; i < devices.size; ++i) {
      const std::int64_t milli = devices.milli[i];
      if (milli >= kWhole) {
        ++whole;
      } else if (milli >= kLevelMilli && worth) {
        const std::int32_t* share = shares + static_cast<std::size_t>(milli / kLevelMilli) * lambdas;
        for (std::size_t k = 0; k < lambdas; ++k) total[k] += share[k];
      }
    }
    if (!worth) return 0;
    const std::int32_t* wholes =
        prices->whole_values.data() +
        (row * prices->wholes + static_cast<std::size_t>(whole)) * lambdas;
    std::int64_t best = std::numeric_limits<std::int64_t>::max();
    for (std::size_t k = 0; k < lambdas; ++k) {
      best = std::min(best, total[k] + wholes[k] + prices->lambda[k] * cpu_milli / kWhole);
    }
    const std::size_t kinds = prices->slot_counts.size();
    for (std::size_t kind = 0; kind < kinds; ++kind) {
      const std::int64_t slots = std::min(whole / prices->slot_counts[kind],
                                          cpu_milli / prices->slot_cpu_milli[kind]);
      best += slots * prices->slot_values[static_cast<std::size_t>(table) * kinds + kind];
    }
    return best;
  }

  std::int64_t fragments_of(std::size_t type, std::int64_t cpu_milli,
                            const Changed& devices) const {
    std::int64_t all = 0;
    for (std::size_t i = 0; i < devices.size; ++i) all += devices.milli[i];
    const std::size_t classes = fragments->weights.size();
    const std::int64_t* wanted = fragments->milli.data() + type * classes;
    std::int64_t total = 0;
    for (std::size_t m = 0; m < classes; ++m) {
      std::int64_t left = all;
      if (fragments->counts[m] > 0 && wanted[m] > 0 && cpu_milli >= fragments->cpu_milli[m]) {
        std::int64_t below = 0;
        std::int64_t fitting = 0;
        for (std::size_t i = 0; i < devices.size; ++i) {
          const std::int64_t milli = devices.milli[i];
          const bool fits = milli >= wanted[m];
          fitting += fits;
          below += fits ? 0 : milli;
        }
        if (fitting >= fragments->counts[m]) left = below;
      }
      total += fragments->weights[m] * left;
    }
    return total;
  }

  std::int64_t value_before(State& state) const {
    if (!state.value) {
      state.value = value_of(state.type, state.cpu_milli, after(Ask{}, state, 0));
    }
    return *state.value;
  }

  std::int64_t fragments_before(State& state) const {
    if (!state.fragments) {
      state.fragments = fragments_of(state.type, state.cpu_milli, after(Ask{}, state, 0));
    }
    return *state.fragments;
  }

  std::int32_t value_score(const Ask& ask, State& state, const Changed& changed) const {
    std::int64_t gained = ask.bias[state.type];
    if (prices) {
      gained += value_of(state.type, state.cpu_milli - ask.cpu_milli, changed);
      gained -= value_before(state);
    }
    return static_cast<std::int32_t>((gained + kUnit / 2) >> 6);  // floor, also below zero
  }

  std::int32_t fragments_score(const Ask& ask, State& state, const Changed& changed) const {
    if (!fragments) return 0;
    const std::int64_t fall = fragments_before(state) -
                              fragments_of(state.type, state.cpu_milli - ask.cpu_milli, changed);
    const auto& thresholds = fragments->thresholds;
    return static_cast<std::int32_t>(
        std::upper_bound(thresholds.begin(), thresholds.end(), fall) - thresholds.begin());
  }

  // Calls `use(device)` for each different device of the state that could give the share.
  template <typename Use>
  void each_device(const Ask& ask, const State& state, Use use) const {
    for (std::size_t i = 0; i < state.devices.size(); ++i) {
      if (i > 0 && state.devices[i] == state.devices[i - 1]) continue;
      if (takes(ask, state, state.devices[i])) use(i);
    }
  }

  std::int32_t best_value(const Ask& ask, State& state) const {
    if (!has_room(ask, state)) return kNoRoom;
    if (!ask.share) return value_score(ask, state, after(ask, state, 0));
    if (!prices) return value_score(ask, state, Changed{});
    std::int32_t best = kNoRoom;
    each_device(ask, state, [&](std::size_t i) {
      best = std::max(best, value_score(ask, state, after(ask, state, i)));
    });
    return best;
  }

  std::int32_t best_fragments(const Ask& ask, State& state, std::int32_t value) const {
    if (!ask.share) return fragments_score(ask, state, after(ask, state, 0));
    std::int32_t best = 0;
    each_device(ask, state, [&](std::size_t i) {
      const Changed changed = after(ask, state, i);
      if (prices && value_score(ask, state, changed) != value) return;
      best = std::max(best, fragments_score(ask, state, changed));
    });
    return best;
  }

  std::int32_t value(Known& known, std::int32_t number) {
    if (known.values.size() < states.size()) known.values.resize(states.size() + 64, kUnknown);
    std::int32_t& value = known.values[static_cast<std::size_t>(number)];
    if (value == kUnknown) value = best_value(known.ask, states[static_cast<std::size_t>(number)]);
    return value;
  }

  std::int32_t fragments_for(Known& known, std::int32_t number, std::int32_t value) {
    const auto state = static_cast<std::size_t>(number);
    if (known.fragments.size() < states.size()) {
      known.fragments.resize(states.size() + 64, kUnknown);
    }
    std::int32_t& kept = known.fragments[state];
    if (kept == kUnknown) kept = best_fragments(known.ask, states[state], value);
    return kept;
  }
};

Placement::Placement(NodeTypes types, bool fullest_first) : shared_(std::make_shared<Shared>()) {
  shared_->types = std::move(types);
  shared_->fullest_first = fullest_first;
}

void Placement::bind(const Space& space) {
  space_ = space;
  state_of_.resize(space.rows);
  for (std::size_t row = 0; row < space.rows; ++row) touch(row);
}

std::size_t Placement::touch(std::size_t row) {
  state_of_[row] = shared_->intern(space_, row);
  return shared_->states.size();
}

// Copies keep what they share; who changes it makes its own first.
void Placement::own() {
  if (shared_.use_count() > 1) shared_ = std::make_shared<Shared>(*shared_);
}

void Placement::set_fragments(Fragments fragments) {
  own();
  shared_->fragments = std::move(fragments);
  shared_->forget();
}

void Placement::set_prices(Prices prices) {
  own();
  shared_->prices = std::move(prices);
  shared_->forget();
}

std::size_t Placement::add_ask(Ask ask) {
  shared_->asks.push_back({std::move(ask), {}, {}});
  return shared_->asks.size() - 1;
}

Choice Placement::choose(std::size_t ask, const bool* allowed) {
  Shared& shared = *shared_;
  Known& known = shared.asks[ask];
  const std::int64_t memory_bytes = known.ask.memory_bytes;
  std::int32_t best = kNoRoom;
  tied_.clear();
  for (std::size_t row = 0; row < space_.rows; ++row) {
    if (!space_.open[row] || space_.memory_bytes[row] < memory_bytes) continue;
    if (allowed && !allowed[row]) continue;
    const std::int32_t value = shared.value(known, state_of_[row]);
    if (value < best || value == kNoRoom) continue;
    if (value > best) {
      best = value;
      tied_.clear();
    }
    tied_.push_back(row);
  }
  if (tied_.empty()) return {};
  std::size_t chosen = tied_.front();
  std::int32_t chosen_fragments = std::numeric_limits<std::int32_t>::min();
  for (const std::size_t row : tied_) {
    const std::int32_t fragments =
        shared.fragments ? shared.fragments_for(known, state_of_[row], best) : 0;
    if (fragments > chosen_fragments ||
        (fragments == chosen_fragments && space_.rank[row] < space_.rank[chosen])) {
      chosen = row;
      chosen_fragments = fragments;
    }
  }
  return {static_cast<std::int64_t>(chosen), choose_device(ask, chosen)};
}

std::int64_t Placement::choose_device(std::size_t ask_number, std::size_t row) {
  Shared& shared = *shared_;
  const Ask& ask = shared.asks[ask_number].ask;
  if (!ask.share) return -1;
  State& state = shared.states[static_cast<std::size_t>(state_of_[row])];
  std::vector<std::pair<Device, Score>> scored;
  Score best;
  shared.each_device(ask, state, [&](std::size_t i) {
    const Changed changed = shared.after(ask, state, i);
    const Score score{shared.value_score(ask, state, changed),
                      shared.fragments_score(ask, state, changed)};
    scored.emplace_back(state.devices[i], score);
    best = std::max(best, score);
  });
  std::erase_if(scored, [&](const auto& each) { return each.second != best; });
  if (shared.fullest_first && !scored.empty()) {
    const auto fullest = std::min_element(
        scored.begin(), scored.end(),
        [](const auto& a, const auto& b) { return a.first.milli < b.first.milli; });
    const std::int64_t milli = fullest->first.milli;
    std::erase_if(scored, [milli](const auto& each) { return each.first.milli != milli; });
  }
  for (std::size_t column = 0; column < shared.types.columns; ++column) {
    const std::size_t cell = row * space_.columns + column;
    const Device device{shared.types.alike[state.type * shared.types.columns + column],
                        space_.device_milli[cell], space_.device_memory_bytes[cell]};
    for (const auto& [good, score] : scored) {
      if (good == device) return static_cast<std::int64_t>(column);
    }
  }
  return -1;
}

}  // namespace madang
