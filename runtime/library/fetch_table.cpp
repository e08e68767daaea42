// Insertion and growth of the fetch table.
#include "runtime/library/fetch_table.h"

#include "runtime/library/kernel_library.h"

namespace lathe::runtime {

FetchTable::FetchTable() {
  slots_.push_back(std::make_unique<Slots>(64));
  current_.store(slots_.back().get(), std::memory_order_release);
}

FetchTable::~FetchTable() = default;

void FetchTable::place(Slots& slots, const Entry* entry) {
  uint64_t i = entry->key.hash();
  while (slots.entries[i & slots.mask].load(std::memory_order_relaxed) != nullptr) ++i;
  slots.entries[i & slots.mask].store(entry, std::memory_order_release);
}

void FetchTable::insert(const FetchKey& key, std::shared_ptr<const FetchedKernel> value) {
  const std::lock_guard lock(mutex_);
  if (find(key) != nullptr) return;
  entries_.push_back(std::make_unique<const Entry>(Entry{key, std::move(value)}));
  Slots& slots = *slots_.back();
  if (entries_.size() * 2 <= slots.mask + 1) return place(slots, entries_.back().get());
  auto larger = std::make_unique<Slots>(2 * (slots.mask + 1));
  for (const auto& entry : entries_) place(*larger, entry.get());
  slots_.push_back(std::move(larger));
  current_.store(slots_.back().get(), std::memory_order_release);
}

size_t FetchTable::size() const {
  const std::lock_guard lock(mutex_);
  return entries_.size();
}

}  // namespace lathe::runtime
