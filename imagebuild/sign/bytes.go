package sign

import "encoding/base64"

// SignBytes returns the detached signature of a text as it is, in the form of Sign's: one line of
// base64. It is for files that are no component lock, such as the OS lock.
func (k *Key) SignBytes(text []byte) ([]byte, error) {
	raw, err := k.signature(text)
	if err != nil {
		return nil, err
	}
	return []byte(base64.StdEncoding.EncodeToString(raw) + "\n"), nil
}
