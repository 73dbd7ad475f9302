// Documents reads what is said about an image with the upstream libraries: SPDX's and CycloneDX's
// decoders and checks, CycloneDX's JSON schema, in-toto's and SLSA's types, and the package URL
// parser. It prints the package URLs that it has found, sorted, or "refused:" and the reason.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/CycloneDX/cyclonedx-go"
	provenance "github.com/in-toto/attestation/go/predicates/provenance/v1"
	attestation "github.com/in-toto/attestation/go/v1"
	"github.com/package-url/packageurl-go"
	"github.com/santhosh-tekuri/jsonschema/v6"
	spdxjson "github.com/spdx/tools-golang/json"
	"github.com/spdx/tools-golang/spdx/v2/v2_3"
	"github.com/spdx/tools-golang/spdxlib"
	"google.golang.org/protobuf/encoding/protojson"
)

func main() {
	spdx := flag.String("spdx", "", "SPDX 2.3 document")
	cdx := flag.String("cyclonedx", "", "CycloneDX 1.6 document")
	schema := flag.String("schema", "", "folder of CycloneDX's JSON schemas")
	statement := flag.String("statement", "", "in-toto statement with SLSA provenance")
	flag.Parse()
	var urls []string
	var err error
	switch {
	case *spdx != "":
		urls, err = readSPDX(*spdx)
	case *cdx != "":
		urls, err = readCycloneDX(*cdx, *schema)
	default:
		urls, err = readStatement(*statement)
	}
	for i, u := range urls {
		if _, parseErr := packageurl.FromString(u); parseErr != nil {
			err = errors.Join(err, fmt.Errorf("%s: %w", urls[i], parseErr))
		}
	}
	if err != nil {
		fmt.Println("refused:", err)
		return
	}
	slices.Sort(urls)
	for _, u := range slices.Compact(urls) {
		fmt.Println(u)
	}
}

func readSPDX(file string) ([]string, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var doc v2_3.Document
	if err := spdxjson.ReadInto(bytes.NewReader(b), &doc); err != nil {
		return nil, err
	}
	if err := spdxlib.ValidateDocument(&doc); err != nil {
		return nil, err
	}
	described, err := spdxlib.GetDescribedPackageIDs(&doc)
	if err != nil || len(described) != 1 {
		return nil, fmt.Errorf("describes %v: %w", described, err)
	}
	if err := sameFields(b, &doc); err != nil {
		return nil, err
	}
	var urls []string
	for _, p := range doc.Packages {
		for _, r := range p.PackageExternalReferences {
			if r.RefType == "purl" {
				urls = append(urls, r.Locator)
			}
		}
	}
	return urls, nil
}

// sameFields wants every field of the document in what the library makes of it: one that it does not
// know would be lost.
func sameFields(document []byte, decoded any) error {
	again, err := json.Marshal(decoded)
	if err != nil {
		return err
	}
	var before, after any
	if err := errors.Join(json.Unmarshal(document, &before), json.Unmarshal(again, &after)); err != nil {
		return err
	}
	return lost("", before, after)
}

func lost(path string, before, after any) error {
	switch b := before.(type) {
	case map[string]any:
		a, _ := after.(map[string]any)
		for k, v := range b {
			if _, ok := a[k]; !ok && v != false {
				return fmt.Errorf("%s.%s is no field that the library knows", path, k)
			}
			if err := lost(path+"."+k, v, a[k]); err != nil {
				return err
			}
		}
	case []any:
		a, _ := after.([]any)
		if len(a) != len(b) {
			return fmt.Errorf("%s has %d elements, the library has %d", path, len(b), len(a))
		}
		if len(b) > 0 && path == ".relationships" { // the library adds and sorts these
			return nil
		}
		for i := range b {
			if err := lost(fmt.Sprintf("%s[%d]", path, i), b[i], a[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

func readCycloneDX(file, schemas string) ([]string, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	if err := validate(b, schemas); err != nil {
		return nil, err
	}
	bom := new(cyclonedx.BOM)
	if err := cyclonedx.NewBOMDecoder(bytes.NewReader(b), cyclonedx.BOMFileFormatJSON).Decode(bom); err != nil {
		return nil, err
	}
	if err := sameFields(b, bom); err != nil {
		return nil, err
	}
	known := map[string]bool{bom.Metadata.Component.BOMRef: true}
	urls := []string{bom.Metadata.Component.PackageURL}
	for _, c := range *bom.Components {
		if known[c.BOMRef] {
			return nil, fmt.Errorf("bom-ref %q is there twice", c.BOMRef)
		}
		known[c.BOMRef] = true
		if c.PackageURL != "" {
			urls = append(urls, c.PackageURL)
		}
	}
	for _, d := range *bom.Dependencies {
		for _, ref := range append([]string{d.Ref}, *orNone(d.Dependencies)...) {
			if !known[ref] {
				return nil, fmt.Errorf("dependencies: %q is no component", ref)
			}
		}
	}
	return urls, nil
}

func orNone(refs *[]string) *[]string {
	if refs == nil {
		return new([]string)
	}
	return refs
}

// validate checks a document against CycloneDX's own schema, which its Go module brings along.
func validate(document []byte, dir string) error {
	compiler := jsonschema.NewCompiler()
	for _, s := range []struct{ file, url string }{
		{"bom-1.6.schema.json", "http://cyclonedx.org/schema/bom-1.6.schema.json"},
		{"spdx.schema.json", "http://cyclonedx.org/schema/spdx.schema.json"},
		{"jsf-0.82.schemax.json", "http://cyclonedx.org/schema/jsf-0.82.schema.json"},
	} {
		f, err := os.Open(filepath.Join(dir, s.file))
		if err != nil {
			return err
		}
		parsed, err := jsonschema.UnmarshalJSON(f)
		_ = f.Close()
		if err != nil {
			return fmt.Errorf("%s: %w", s.file, err)
		}
		if err := compiler.AddResource(s.url, parsed); err != nil {
			return fmt.Errorf("%s: %w", s.file, err)
		}
	}
	compiler.AssertFormat()
	schema, err := compiler.Compile("http://cyclonedx.org/schema/bom-1.6.schema.json")
	if err != nil {
		return err
	}
	parsed, err := jsonschema.UnmarshalJSON(bytes.NewReader(document))
	if err != nil {
		return err
	}
	return schema.Validate(parsed)
}

func readStatement(file string) ([]string, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	statement := new(attestation.Statement)
	if err := protojson.Unmarshal(b, statement); err != nil { // refuses unknown fields
		return nil, err
	}
	if err := statement.Validate(); err != nil {
		return nil, err
	}
	predicate, err := protojson.Marshal(statement.GetPredicate())
	if err != nil {
		return nil, err
	}
	slsa := new(provenance.Provenance)
	if err := protojson.Unmarshal(predicate, slsa); err != nil {
		return nil, err
	}
	if err := slsa.Validate(); err != nil {
		return nil, err
	}
	var urls []string
	for _, d := range slsa.GetBuildDefinition().GetResolvedDependencies() {
		if d.GetUri() != "" {
			urls = append(urls, d.GetUri())
		}
	}
	return urls, nil
}
