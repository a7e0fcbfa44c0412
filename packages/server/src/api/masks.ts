/** The names of the fields that a mask message can hold, without protobuf's own. */
export type MaskFields<Mask> = Exclude<Extract<keyof Mask, string>, '$typeName' | '$unknown'>

/**
 * A mask as a question: is this field wanted? An absent mask wants every field. Each field is asked for by its own
 * name, so that no field can stand in for another.
 */
export function wanted<Mask extends object>(mask: Mask | undefined): (field: MaskFields<Mask>) => boolean {
  return mask === undefined ? () => true : field => mask[field as keyof Mask] === true
}
