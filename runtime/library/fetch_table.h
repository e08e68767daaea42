// A hash table that readers search without locks: what makes a warm fetch cost nanoseconds.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <memory>
#include <mutex>
#include <vector>

namespace lathe::runtime {

struct FetchedKernel;

/// An operation and its sizes as plain words; unused ones are zero.
struct FetchKey {
  std::array<uint64_t, 16> words;

  bool operator==(const FetchKey& other) const {
    uint64_t difference = 0;
    for (size_t i = 0; i < words.size(); ++i) difference |= words[i] ^ other.words[i];
    return difference == 0;
  }
  /// Pairs of words are multiplied into 128 bits and folded, as wyhash does it, so that no product
  /// waits for another.
  uint64_t hash() const {
    uint64_t h = 0;
    for (size_t i = 0; i < words.size(); i += 2) {
      __extension__ using Wide = unsigned __int128;
      const Wide product = Wide{words[i] ^ mask(i)} * (words[i + 1] ^ mask(i + 1));
      h ^= static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
    }
    return h;
  }

 private:
  static constexpr uint64_t mask(size_t i) { return 0x9E3779B97F4A7C15u * (2 * i + 1); }
};

/// Entries are never removed while the table lives. find() is wait-free and may run beside
/// insert(); an insert that races with another of the same key keeps the first.
class FetchTable {
 public:
  FetchTable();
  ~FetchTable();
  FetchTable(const FetchTable&) = delete;
  FetchTable& operator=(const FetchTable&) = delete;

  /// Null when absent. The pointer stays valid as long as the table.
  const std::shared_ptr<const FetchedKernel>* find(const FetchKey& key) const {
    const Slots* slots = current_.load(std::memory_order_acquire);
    for (uint64_t i = key.hash();; ++i) {
      const Entry* entry = slots->entries[i & slots->mask].load(std::memory_order_acquire);
      if (entry == nullptr) return nullptr;
      if (entry->key == key) return &entry->value;
    }
  }

  void insert(const FetchKey& key, std::shared_ptr<const FetchedKernel> value);
  size_t size() const;

 private:
  struct Entry {
    FetchKey key;
    std::shared_ptr<const FetchedKernel> value;
  };
  struct Slots {
    explicit Slots(size_t count) : mask(count - 1), entries(new std::atomic<const Entry*>[count]) {
      for (size_t i = 0; i < count; ++i) entries[i].store(nullptr, std::memory_order_relaxed);
    }
    uint64_t mask;
    std::unique_ptr<std::atomic<const Entry*>[]> entries;
  };
  static void place(Slots& slots, const Entry* entry);

  std::atomic<const Slots*> current_;
  mutable std::mutex mutex_;  ///< for insert
  std::vector<std::unique_ptr<Slots>>
      slots_;  ///< the last is current; readers may still hold others
  std::vector<std::unique_ptr<const Entry>> entries_;
};

}  // namespace lathe::runtime
