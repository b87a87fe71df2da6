// What stands around the figure. Fetched after the first picture has been painted.

export function furnish() {}
