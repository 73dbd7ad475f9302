package initrd

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
)

// MaxUnpacked is how many bytes an archive that is read may have unpacked.
const MaxUnpacked = 64 << 20

// dictionary is that of what Encode writes. The kernel allocates as much to unpack it.
const dictionary = 1 << 20

// Encode returns the files as an xz-compressed archive: the same bytes for the same files.
func Encode(files Files) ([]byte, error) {
	if err := files.Check(); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	w, err := xz.WriterConfig{CheckSum: xz.CRC32, DictCap: dictionary}.NewWriter(&b)
	if err != nil {
		return nil, fmt.Errorf("compress an archive: %w", err)
	}
	if _, err = w.Write(files.cpio()); err == nil {
		err = w.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("compress an archive: %w", err)
	}
	return b.Bytes(), nil
}

// Decode reads the archive that data begins with, compressed by xz, gzip or zstd or not at all,
// and returns how many bytes of data it takes. For zstd that is not known, and -1.
func Decode(data []byte) (Files, int, error) {
	switch {
	case bytes.HasPrefix(data, xzMagic):
		n, err := scanXZ(data)
		if err != nil {
			return nil, 0, err
		}
		r, err := xz.ReaderConfig{SingleStream: true}.NewReader(bytes.NewReader(data[:n]))
		if err != nil {
			return nil, 0, fmt.Errorf("%w: %w", ErrDamaged, err)
		}
		files, err := readAll(r)
		return files, n, err
	case bytes.HasPrefix(data, []byte{0x1f, 0x8b}):
		in := bytes.NewReader(data)
		r, err := gzip.NewReader(in)
		if err != nil {
			return nil, 0, fmt.Errorf("%w: %w", ErrDamaged, err)
		}
		r.Multistream(false)
		files, err := readAll(r)
		return files, len(data) - in.Len(), err
	case bytes.HasPrefix(data, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		r, err := zstd.NewReader(bytes.NewReader(data), zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxDictionary))
		if err != nil {
			return nil, 0, fmt.Errorf("%w: %w", ErrDamaged, err)
		}
		defer r.Close()
		files, err := readCPIO(r, MaxUnpacked)
		return files, -1, err
	default:
		in := bytes.NewReader(data)
		files, err := readCPIO(in, MaxUnpacked)
		return files, len(data) - in.Len(), err
	}
}

// readAll reads one archive and the rest of the stream, which must be zeros, so that the
// compression's own check is made.
func readAll(r io.Reader) (Files, error) {
	files, err := readCPIO(r, MaxUnpacked)
	if err != nil {
		return nil, err
	}
	block := make([]byte, 4096)
	for total := 0; total <= MaxUnpacked; {
		n, err := r.Read(block)
		total += n
		if len(bytes.Trim(block[:n], "\x00")) > 0 {
			return nil, fmt.Errorf("%w: something follows the archive's trailer", ErrDamaged)
		}
		if errors.Is(err, io.EOF) {
			return files, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
		}
	}
	return nil, fmt.Errorf("%w: more than %d bytes unpacked", ErrDamaged, MaxUnpacked)
}
