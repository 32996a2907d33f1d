package route

import networking "istio.io/api/networking/v1"

// directBody is the body of a direct response.
func directBody(d *networking.HTTPDirectResponse) []byte {
	switch b := d.GetBody().GetSpecifier().(type) {
	case *networking.HTTPBody_String_:
		return []byte(b.String_)
	case *networking.HTTPBody_Bytes:
		return b.Bytes
	}
	return nil
}
