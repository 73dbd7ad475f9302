package pull

// Sweep removes what interrupted fetches and removals left in the store. While images are being
// fetched it does nothing: what is half done then is somebody's, and the rest is the next call's.
func (p *Puller) Sweep() error {
	if !p.fetching.TryLock() {
		return nil
	}
	defer p.fetching.Unlock()
	return p.Store.Sweep()
}
